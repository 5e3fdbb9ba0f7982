import math
import subprocess
import sys

import peft
import pytest
import torch

from cotune import CoTuneConfig
from cotune._errors import ConfigError
from cotune.federated.privacy import Accountant, LocalSpec, PrivateSteps, split_rows
from helpers import tiny_batch, tiny_model

TASKS = ["a", "b"]
CONFIGS = {
    "lora": {},
    "generic": {"fast": "off"},
    "banks": {"num_A": 2, "num_B": 3, "coupling": "full"},
    "core": {"tasks": TASKS, "core": "full", "default_task": "a"},
}


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(name="lora", family="llama"):
    torch.manual_seed(0)
    targets = {"llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}[family]
    config = CoTuneConfig(
        r=2, target_modules=targets, init_weights=False, **CONFIGS[name]
    )
    return peft.get_peft_model(tiny_model(family), config)


def trained(model):
    return [p for p in model.parameters() if p.requires_grad]


def private(model, *, lr=1.0, rows=4, per_step=4, generator=None, **spec):
    return PrivateSteps(
        torch.optim.SGD(trained(model), lr=lr),
        LocalSpec(**{"clip": 1.0, "noise": 1e-9, **spec}),
        rows=rows,
        rows_per_step=per_step,
        generator=generator or draw(),
    )


def loss_of(model):
    return lambda row: model(**row).loss


def gradients_by_loop(model, batch):
    """Per row, per parameter: the gradient of a model that sees that row alone."""
    found = []
    for row in split_rows(batch):
        values = torch.autograd.grad(
            model(**row).loss, trained(model), allow_unused=True
        )
        pairs = zip(values, trained(model), strict=True)
        found.append([torch.zeros_like(p) if g is None else g for g, p in pairs])
    return found


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("clip", [1e-2, 1e3])
def test_a_step_is_the_mean_of_clipped_gradients_of_single_rows(name, family, clip):
    model, batch = tiny(name, family), tiny_batch(family)
    before = [p.detach().clone() for p in trained(model)]
    rows = gradients_by_loop(model, batch)
    private(model, clip=clip).step(list(split_rows(batch)), loss_of(model))
    for index, parameter in enumerate(trained(model)):
        expected = torch.zeros_like(parameter)
        for row in rows:
            length = math.sqrt(sum(float(g.square().sum()) for g in row))
            expected += row[index] * min(1.0, clip / length) / len(rows)
        moved = before[index] - parameter.detach()
        assert torch.allclose(moved, expected, rtol=1e-3, atol=1e-6)


def test_gradients_of_single_rows_add_up_to_that_of_the_batch():
    model, batch = tiny(), tiny_batch("llama")
    batch = {name: value for name, value in batch.items() if name != "attention_mask"}
    rows = gradients_by_loop(model, batch)
    whole = torch.autograd.grad(model(**batch).loss, trained(model))
    for index, gradient in enumerate(whole):
        mean = sum(row[index] for row in rows) / len(rows)
        assert torch.allclose(mean, gradient, rtol=1e-4, atol=1e-6)


def test_opacus_own_hooks_see_no_factor():
    # Why rows go through one at a time. If this fails, Opacus has learnt to.
    from opacus import GradSampleModule

    model = tiny("generic")
    wrapped = GradSampleModule(model)
    wrapped(**tiny_batch("llama")).loss.backward()
    assert all(getattr(p, "grad_sample", None) is None for p in trained(model))


def test_the_noise_has_its_deviation_on_every_number():
    parameter = torch.nn.Parameter(torch.zeros(300, 300))
    steps = PrivateSteps(
        torch.optim.SGD([parameter], lr=1.0),
        LocalSpec(clip=2.0, noise=3.0),
        rows=100,
        rows_per_step=5,
        generator=draw(),
    )
    value = steps.step([], lambda row: parameter.sum())
    assert math.isnan(value)
    assert float(parameter.detach().std()) == pytest.approx(2.0 * 3.0 / 5, rel=0.01)


def test_one_row_moves_the_model_by_at_most_the_clip_over_the_batch():
    model, batch = tiny(), tiny_batch("llama")
    rows = list(split_rows(batch))
    found = []
    for kept in (rows, rows[1:]):
        model = tiny()
        private(model, clip=1e-3).step(kept, loss_of(model))
        found.append(torch.cat([p.detach().flatten() for p in trained(model)]))
    assert float((found[0] - found[1]).norm()) <= 1e-3 / 4 * 1.01


def test_a_row_whose_gradient_is_not_finite_counts_as_zero():
    parameter = torch.nn.Parameter(torch.ones(3))
    steps = PrivateSteps(
        torch.optim.SGD([parameter], lr=1.0),
        LocalSpec(noise=1e-9),
        rows=2,
        rows_per_step=2,
        generator=draw(),
    )
    steps.step([math.nan, 0.1], lambda row: row * parameter.sum())
    assert torch.allclose(parameter, torch.full((3,), 1 - 0.1 / 2), atol=1e-6)


def test_a_step_that_raised_leaves_nothing_behind():
    parameter = torch.nn.Parameter(torch.ones(3))
    steps = private_of(parameter)

    def broken(row):
        if row < 0:
            raise ValueError("bad row")
        return row * parameter.sum()

    with pytest.raises(ValueError, match="bad row"):
        steps.step([0.3, -1.0], broken)
    steps.step([0.1], broken)
    assert torch.allclose(parameter, torch.full((3,), 1 - 0.1 / 2), atol=1e-6)


def private_of(parameter, **spec):
    return PrivateSteps(
        torch.optim.SGD([parameter], lr=1.0),
        LocalSpec(**{"noise": 1e-9, **spec}),
        rows=2,
        rows_per_step=2,
        generator=draw(),
    )


@pytest.mark.parametrize("source", ["seed", "system"])
def test_rows_are_drawn_by_coins_of_the_right_rate(source):
    parameter = torch.nn.Parameter(torch.ones(1))
    steps = PrivateSteps(
        torch.optim.SGD([parameter], lr=1.0),
        LocalSpec(noise=1.0, source=source),
        rows=20_000,
        rows_per_step=5_000,
        generator=draw() if source == "seed" else None,
    )
    one, two = steps.draw_rows(), steps.draw_rows()
    assert one != two
    assert one == sorted(set(one))
    # The deviation is 61 rows: seven of them is never reached by chance.
    assert abs(len(one) - 5000) < 430


def test_a_seed_repeats_rows_and_noise():
    ends = []
    for _ in range(2):
        model = tiny()
        steps = private(model, generator=draw(3), noise=1.0, per_step=2)
        rows = list(split_rows(tiny_batch("llama")))
        for _ in range(3):
            steps.step([rows[k] for k in steps.draw_rows()], loss_of(model))
        ends.append(torch.cat([p.detach().flatten() for p in trained(model)]))
    assert torch.equal(*ends)


def test_every_step_is_counted_and_the_account_goes_on():
    parameter = torch.nn.Parameter(torch.ones(1))
    steps = private_of(parameter, noise=2.0)
    steps.step([], lambda row: parameter.sum())
    first = steps.epsilon
    again = PrivateSteps(
        torch.optim.SGD([parameter], lr=1.0),
        LocalSpec(noise=2.0),
        rows=2,
        rows_per_step=2,
        generator=draw(),
        accountant=Accountant.from_json(steps.accountant.to_json()),
    )
    again.step([], lambda row: parameter.sum())
    assert 0 < first < again.epsilon
    assert again.accountant.rounds == 2


@pytest.mark.parametrize("per_step", [0, 5])
def test_a_step_of_too_many_rows_is_refused(per_step):
    with pytest.raises(ConfigError, match="from 1 to all rows"):
        private(tiny(), per_step=per_step)


def test_what_trains_nothing_or_has_no_generator_is_refused():
    frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    with pytest.raises(ConfigError, match="that are trained"):
        private_of(frozen)
    with pytest.raises(ConfigError, match="generator"):
        PrivateSteps(
            torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]),
            LocalSpec(noise=1.0),
            rows=1,
            rows_per_step=1,
        )


@pytest.mark.slow
def test_opacus_is_loaded_only_when_it_is_needed():
    code = (
        "import sys, cotune.federated.privacy; sys.exit('opacus' in sys.modules or "
        "'flwr' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
