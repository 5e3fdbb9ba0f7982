import inspect
import math
import weakref
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from cotune._adapter import Adapter, Factors
from cotune._errors import ConfigError
from cotune.operators.merge import MERGE, merge_adapters
from cotune.operators.merge._options import wants


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def deltas(adapter):
    return {name: update.delta() for name, update in adapter.updates().items()}


@pytest.mark.parametrize("method", list(MERGE))
def test_every_method_gives_a_plain_adapter_of_the_same_layers(adapter, method):
    adapters = [adapter(1, rank=2), adapter(2, rank=3)]
    result = merge_adapters(adapters, method=method, generator=seeded())
    assert list(result.adapter.layers) == list(adapters[0].layers)
    assert list(result.errors) == list(adapters[0].layers)
    assert all(0 <= error <= 1 for error in result.errors.values())
    assert result.worst == max(result.errors.values())
    for factors in result.adapter.layers.values():
        assert factors.A.shape == (1, 3, 5)
        assert factors.B.shape == (1, 6, 3)
        assert factors.scale == 1.0
    assert result.adapter.config["r"] == result.adapter.config["lora_alpha"] == 3


@pytest.mark.parametrize("method", list(MERGE))
def test_a_layer_is_the_operator_then_the_recompression(adapter, method):
    from cotune._adapter import LowRank
    from cotune.operators.convert._recompress import recompress

    adapters = [adapter(1, blocks=1), adapter(2, blocks=1)]
    result = merge_adapters(adapters, method=method, rank=1, generator=seeded(3))
    # The layers share the generator, in their order; the first is replayed here.
    name = next(iter(adapters[0].layers))
    options = {}
    if wants(MERGE[method], "generator"):
        options["generator"] = seeded(3)
    if wants(MERGE[method], "rank"):
        options["rank"] = 1
    updates = [each.update(name) for each in adapters]
    merged = MERGE[method](updates, [0.5, 0.5], **options)
    expected, error = recompress(merged, 1)
    assert isinstance(merged, (LowRank, torch.Tensor))
    assert torch.allclose(result.adapter.update(name).delta(), expected.delta())
    assert result.errors[name] == pytest.approx(error, abs=1e-12)


def test_mix_with_room_for_all_ranks_is_exact(adapter):
    adapters = [adapter(1, rank=1), adapter(2, rank=2), adapter(3, rank=2)]
    weights = [0.5, 2.0, -1.0]
    result = merge_adapters(adapters, method="mix", weights=weights, rank=5)
    assert result.worst == 0
    for name, delta in deltas(result.adapter).items():
        parts = zip(weights, adapters, strict=True)
        expected = sum(w * each.update(name).delta() for w, each in parts)
        assert torch.allclose(delta, expected, atol=1e-12)


def test_an_error_target_sets_the_rank_of_each_layer(adapter):
    one, two = adapter(1, rank=3), adapter(2, rank=3)
    first = next(iter(one.layers))
    layers = {**two.layers, first: one.layers[first]}
    result = merge_adapters(
        [one, two.with_layers(layers)], method="mix", max_error=1e-9
    )
    config = result.adapter.config
    # The shared layer needs rank 3 only; the others 5, all that d_in allows.
    assert config["r"] == 5
    assert config["rank_pattern"] == {first: 3}
    assert config["alpha_pattern"] == {first: 3}
    assert result.worst <= 1e-9


def test_the_stated_error_is_the_distance_from_what_the_operator_defined(adapter):
    adapters = [adapter(1), adapter(2)]
    result = merge_adapters(adapters, method="ties", rank=1, density=0.5)
    for name, delta in deltas(result.adapter).items():
        truth = MERGE["ties"](
            [each.update(name) for each in adapters], [0.5, 0.5], density=0.5
        )
        gap = float((truth - delta).norm() / truth.norm())
        assert result.errors[name] == pytest.approx(gap, abs=1e-12)


def test_bfloat16_is_rounded_once_at_the_end(adapter):
    adapters = [adapter(seed, dtype=torch.bfloat16) for seed in (1, 2, 3)]
    result = merge_adapters(adapters, method="mix", rank=6)
    name = next(iter(adapters[0].layers))
    truth = sum(each.update(name).delta().double() for each in adapters) / 3
    exact = sum(
        each.update(name).B.double() @ each.update(name).A.double() for each in adapters
    )
    merged = result.adapter.update(name)
    assert merged.A.dtype == torch.bfloat16
    gap = (exact / 3 - merged.B.double() @ merged.A.double()).norm() / truth.norm()
    assert float(gap) < 5e-3
    # The thirds of B do not fit bf16: that rounding is in the stated error.
    assert result.errors[name] == pytest.approx(float(gap), rel=1e-3)


def test_the_random_svd_of_dense_results_states_its_error(adapter):
    adapters = [adapter(1, d_out=40, d_in=30), adapter(2, d_out=40, d_in=30)]
    exact = merge_adapters(adapters, method="ties", density=0.3, rank=4)
    fast = merge_adapters(
        adapters,
        method="ties",
        density=0.3,
        rank=4,
        svd_iterations=6,
        generator=seeded(),
    )
    for name, error in exact.errors.items():
        assert error - 1e-9 <= fast.errors[name] <= 1.02 * error


def test_the_tasks_of_one_adapter_can_be_merged(draw):
    update = draw(0, rank=2)
    core = torch.stack([torch.eye(2), 3 * torch.eye(2)]).double()
    bank = Adapter(
        layers={
            "q": Factors(
                A=update.A.unsqueeze(0), B=update.B.unsqueeze(0), scale=2.0, core=core
            )
        },
        config={"peft_type": "COTUNE", "coupling": "full", "core": "full"},
        tasks=("mild", "strong"),
    )
    result = merge_adapters([bank, bank], method="mix", tasks=["mild", "strong"])
    expected = 2.0 * (1 + 3) / 2 * update.delta()
    assert torch.allclose(result.adapter.update("q").delta(), expected, atol=1e-12)
    assert result.adapter.tasks == ()
    assert result.adapter.coupling == "full"
    with pytest.raises(ConfigError, match="Unknown task 'strange'"):
        merge_adapters([bank, bank], method="mix", tasks=["mild", "strange"])
    with pytest.raises(ConfigError, match="tasks must be 2 names"):
        merge_adapters([bank, bank], method="mix", tasks=["mild"])


def test_the_inputs_stay_untouched(adapter):
    adapters = [adapter(1), adapter(2)]
    before = [deltas(each) for each in adapters]
    configs = [dict(each.config) for each in adapters]
    merge_adapters(adapters, method="fuse")
    for old, config, each in zip(before, configs, adapters, strict=True):
        assert each.config == config
        for name, delta in deltas(each).items():
            assert torch.equal(old[name], delta)


class Lazy(Mapping):
    """Layers that are made when they are read; counts how many live at once."""

    def __init__(self, layers):
        self.layers = layers
        self.alive = self.most = 0

    def __getitem__(self, name):
        factors = self.layers[name]
        fresh = replace(factors, A=factors.A.clone(), B=factors.B.clone())
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(fresh.A, self.forget)
        return fresh

    def forget(self):
        self.alive -= 1

    def __iter__(self):
        return iter(self.layers)

    def __len__(self):
        return len(self.layers)


@pytest.mark.parametrize("method", ["mix", "ties"])
def test_memory_is_one_layer_of_each_adapter(adapter, method):
    adapters = [adapter(1, blocks=10), adapter(2, blocks=10)]
    lazy = [replace(each, layers=Lazy(each.layers)) for each in adapters]
    result = merge_adapters(lazy, method=method)
    assert len(result.adapter.layers) == 20
    for each in lazy:
        assert each.layers.most <= 3
        assert each.layers.alive == 0


def test_other_layer_sets_are_refused_with_the_way_out(adapter):
    small, large = adapter(1, blocks=1), adapter(2, blocks=2)
    with pytest.raises(ConfigError, match=r"adapter 0 lacks 2 of 4.*layers='union'"):
        merge_adapters([small, large], method="mix")


@pytest.mark.parametrize("method", list(MERGE))
def test_a_missing_layer_counts_as_a_zero_update_in_a_union(adapter, method):
    small, large = adapter(1, blocks=1), adapter(2, blocks=2)
    result = merge_adapters(
        [small, large], method=method, layers="union", generator=seeded()
    )
    assert list(result.adapter.layers) == list(large.layers)
    if method == "mix":
        last = list(large.layers)[-1]
        expected = 0.5 * large.update(last).delta()
        assert torch.allclose(result.adapter.update(last).delta(), expected)


def test_tensors_beside_the_layers_are_kept_and_may_not_collide(adapter):
    head = {"classifier.weight": torch.ones(2, 3)}
    other = {"classifier.weight": torch.zeros(2, 3)}
    config = {"peft_type": "LORA", "modules_to_save": ["classifier"]}
    one = replace(adapter(1, config=config), extra=head)
    result = merge_adapters([one, adapter(2)], method="fuse")
    assert result.adapter.config["modules_to_save"] == ["classifier"]
    assert torch.equal(result.adapter.extra["classifier.weight"], torch.ones(2, 3))
    merge_adapters([one, replace(adapter(2), extra=head)], method="fuse")
    for clash in (other, {"classifier.weight": torch.ones(2, 3).half()}):
        with pytest.raises(ConfigError, match=r"'classifier\.weight' must belong to"):
            merge_adapters([one, replace(adapter(2), extra=clash)], method="fuse")


def test_adapters_of_two_base_models_are_refused_unless_said(adapter):
    one = adapter(1, config={"base_model_name_or_path": "small"})
    two = adapter(2, config={"base_model_name_or_path": "models/small"})
    with pytest.raises(ConfigError, match=r"one base model, got small, models/small"):
        merge_adapters([one, two], method="fuse")
    result = merge_adapters([one, two], method="fuse", any_base=True)
    assert result.adapter.config["base_model_name_or_path"] == "small"


def test_a_fault_in_a_layer_names_the_layer(adapter):
    one = adapter(1)
    name = list(one.layers)[1]
    broken = one.layers[name].A.clone()
    broken[0, 0, 0] = math.nan
    layers = {**one.layers, name: replace(one.layers[name], A=broken)}
    with pytest.raises(ConfigError, match=f"layer {name}: recompress: .* finite"):
        merge_adapters([one.with_layers(layers), adapter(2)], method="mix")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "tie"}, r"Unknown merge operator 'tie'\. Did you mean ties\?"),
        ({"method": "ties", "denisty": 0.1}, "Did you mean density"),
        ({"method": "mix", "density": 0.1}, "Unknown option of mix 'density'"),
        ({"method": "dare"}, "dare: a generator is needed"),
        ({"method": "ensemble"}, "averages logits and makes no adapter"),
        ({"method": "mix", "weights": [1.0]}, "weights must be 2 finite numbers"),
        ({"method": "mix", "rank": 0}, "rank must be at least 1"),
    ],
)
def test_mistakes_are_refused(adapter, arguments, message):
    with pytest.raises(ConfigError, match=message):
        merge_adapters([adapter(1), adapter(2)], **arguments)


def test_a_word_that_is_not_a_choice_is_refused_without_type_checks_too(adapter):
    unchecked = inspect.unwrap(merge_adapters)
    with pytest.raises(ConfigError, match="layers must be 'same' or 'union'"):
        unchecked([adapter(1)], method="mix", layers="some")


@pytest.mark.parametrize("adapters", [[], [Adapter(layers={})]])
def test_nothing_to_merge_is_refused(adapters):
    with pytest.raises(ConfigError, match="merge_adapters: "):
        merge_adapters(adapters, method="mix")


def test_progress_is_told_after_every_layer(adapter):
    ticks = []
    merge_adapters(
        [adapter(1), adapter(2)],
        method="mix",
        progress=lambda done, total: ticks.append((done, total)),
    )
    assert ticks == [(1, 4), (2, 4), (3, 4), (4, 4)]
