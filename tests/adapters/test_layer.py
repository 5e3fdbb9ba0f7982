"""The layer's contract: checks M1, M2 and M6, and the edges of its inputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapters.layers import (
    COPY_FORMS,
    D_IN,
    D_OUT,
    TASKS,
    Case,
    batch_of,
    coupling_cases,
    make_layer,
    method_cases,
    plain_base,
    relative_error,
    trained,
    with_fast,
)
from adapters.oracle import COUPLING_RULES, draw_matrix, loop_update, read_bank
from cotune import CoTuneConfig
from cotune._errors import ConfigError
from cotune.adapters import COUPLINGS, STARTS, CollaborativeLayer
from cotune.adapters._tasks import TaskState

METHODS = method_cases()
STARTING = [*METHODS, *coupling_cases(cores=["none"])]
COMPUTING = [
    *METHODS,
    *coupling_cases(cores=["none"], starts=COPY_FORMS),
    *coupling_cases(cores=["full"], starts=["pissa-split"]),
]
LEARNING = [*METHODS, *coupling_cases(cores=["none", "full"], starts=["pissa-split"])]
BASES = ["linear", "conv1d", "custom"]


class Custom(nn.Module):
    """A base layer of somebody else's: in and out features, and no weight at hand."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = D_IN, D_OUT
        self.inner = inner

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        return self.inner(x) * gain


class Int8(nn.Module):
    """A quantised layer: whole numbers with a scale, as GPTQ and bitsandbytes have."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = D_IN, D_OUT
        self.scale = float(linear.weight.abs().max()) / 127
        whole = (linear.weight / self.scale).round().to(torch.int8)
        self.weight = nn.Parameter(whole, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.to(x.dtype) * self.scale)


def base_of(kind: str) -> nn.Module:
    if kind == "custom":
        inner = plain_base()
        assert isinstance(inner, nn.Linear)
        return Custom(inner)
    return plain_base(kind)


def base_output(layer: CollaborativeLayer, x: Tensor) -> Tensor:
    base = layer.get_base_layer()
    if isinstance(base, Conv1D):
        return x @ base.weight.double() + base.bias.double()
    inner = base.inner if isinstance(base, Custom) else base
    assert isinstance(inner, nn.Linear)
    bias = 0 if inner.bias is None else inner.bias.double()
    return x @ inner.weight.double().T + bias


def wanted_output(
    layer: CollaborativeLayer, x: Tensor, tasks: list[int], **kwargs: Tensor | None
) -> Tensor:
    x = x.double()
    return base_output(layer, x) + loop_update(read_bank(layer), x, tasks, **kwargs)


# -- M1: the start is the base model ---------------------------------------------------


@pytest.mark.parametrize("case", STARTING, ids=str)
def test_m1_at_step_0_the_layer_is_its_base_layer(case: Case) -> None:
    layer = make_layer(case, filled=False, dtype=torch.float32)
    x, tasks = batch_of(layer, dtype=torch.float32)
    layer.state.current = tasks
    wanted = layer.base_layer(x)
    for training in (False, True):
        layer.train(training)
        assert relative_error(layer(x), wanted) <= 1e-6


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m1_a_disabled_adapter_leaves_the_base_output_bit_for_bit(case: Case) -> None:
    layer = make_layer(case)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    layer.enable_adapters(False)
    assert torch.equal(layer(x), layer.base_layer(x))
    layer.enable_adapters(True)
    assert not torch.equal(layer(x), layer.base_layer(x))


@pytest.mark.parametrize("start", list(STARTS))
def test_without_init_weights_the_adapter_changes_the_output(start: str) -> None:
    case = Case(start, {"start": start, "init_weights": False, "num_B": 2})
    layer = make_layer(case, filled=False)
    x, _ = batch_of(layer)
    assert relative_error(layer(x), layer.base_layer(x)) > 1e-3


# -- M2: the forward is the formula ----------------------------------------------------


def test_every_coupling_has_a_rule_in_the_oracle() -> None:
    assert set(COUPLING_RULES) == set(COUPLINGS)


@pytest.mark.parametrize("case", COMPUTING, ids=str)
def test_m2_forward_equals_the_double_loop_in_fp64(case: Case) -> None:
    layer = make_layer(case)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    wanted = wanted_output(layer, x, tasks)
    for fast in ("auto", "off"):
        assert relative_error(with_fast(layer, fast)(x), wanted) <= 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("case", coupling_cases(starts=COPY_FORMS), ids=str)
def test_m1_and_m2_hold_for_every_combination_of_the_tables(case: Case) -> None:
    layer = make_layer(case, filled=False)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    assert relative_error(layer(x), layer.base_layer(x)) <= 1e-6
    layer = make_layer(case)
    layer.state.current = tasks
    wanted = wanted_output(layer, x, tasks)
    for fast in ("auto", "off"):
        assert relative_error(with_fast(layer, fast)(x), wanted) <= 1e-10


@pytest.mark.parametrize("case", LEARNING, ids=str)
def test_m2_forward_equals_the_double_loop_in_fp32(case: Case) -> None:
    layer = make_layer(case, dtype=torch.float32)
    x, tasks = batch_of(layer, dtype=torch.float32)
    layer.state.current = tasks
    wanted = wanted_output(layer, x, tasks)
    for fast in ("auto", "off"):
        assert relative_error(with_fast(layer, fast)(x), wanted) <= 1e-5


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m2_holds_for_every_kind_of_base_layer(case: Case, kind: str) -> None:
    start = {"start": "kaiming"} if kind == "custom" else {}
    layer = make_layer(case, base=base_of(kind), **start)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    assert relative_error(layer(x), wanted_output(layer, x, tasks)) <= 1e-10


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m2_holds_on_a_quantised_layer(case: Case) -> None:
    inner = plain_base()
    assert isinstance(inner, nn.Linear)
    base = Int8(inner)
    before = base.weight.clone()
    layer = make_layer(case, base=base, start="kaiming", dtype=torch.float32)
    x, tasks = batch_of(layer, dtype=torch.float32)
    x.requires_grad_(True)
    layer.state.current = tasks
    update = loop_update(read_bank(layer), x.double(), tasks)
    assert relative_error(layer(x), base(x).double() + update) <= 1e-5
    layer(x).sum().backward()
    assert x.grad is not None and base.weight.grad is None
    assert base.weight.dtype == torch.int8 and torch.equal(base.weight, before)
    assert {p.dtype for p in trained(layer).values()} == {torch.float32}
    with layer.state.pin("art"), pytest.raises(ConfigError, match="got Int8"):
        layer.merge()


@pytest.mark.parametrize("method", ["lora", "cola", "colora"])
def test_the_delta_weight_of_a_quantised_layer_is_not_rounded_to_integers(
    method: str,
) -> None:
    inner = plain_base()
    assert isinstance(inner, nn.Linear)
    (case,) = [case for case in METHODS if case.name == method]
    layer = make_layer(case, base=Int8(inner), start="kaiming", dtype=torch.float32)
    with layer.state.pin("art"):
        found = layer.get_delta_weight("default")
        wanted = layer.low_rank("default").delta()
    assert found.dtype == torch.float32 and torch.equal(found, wanted)
    other = layer.get_delta_weight("another adapter")
    assert other.shape == found.shape and not other.any()


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("start", COPY_FORMS)
@pytest.mark.parametrize("sizes", [(2, 3), (3, 2), (4, 1)])
@pytest.mark.parametrize("coupling", ["random", "random-reversed"])
def test_m2_a_random_coupling_computes_the_pairs_that_it_drew(
    coupling: str, sizes: tuple[int, int], start: str, fast: str
) -> None:
    M, N = sizes
    fields = {"coupling": coupling, "num_A": M, "num_B": N, "start": start, "r": 2}
    layer = make_layer(Case("", {**fields, "fast": fast})).train()
    x, tasks = batch_of(layer)
    outputs = []
    for seed in range(4):
        torch.manual_seed(seed)
        drawn = draw_matrix(coupling, M, N)
        torch.manual_seed(seed)
        outputs.append(layer(x))
        wanted = wanted_output(layer, x, tasks, drawn=drawn)
        assert relative_error(outputs[-1], wanted) <= 1e-10
    if N > 1 or coupling == "random-reversed":
        assert any(not torch.equal(outputs[0], other) for other in outputs[1:])


def test_a_random_coupling_draws_every_pair_equally_often() -> None:
    torch.manual_seed(0)
    rule = COUPLINGS["random"]()
    counts = sum(rule.draw(2, 3) for _ in range(3000))
    # 1000 each; five standard deviations are 130.
    assert ((counts - 1000).abs() < 130).all()


def test_m2_holds_with_rslora_and_a_pattern_of_ranks() -> None:
    case = Case("", {"use_rslora": True, "num_A": 2, "num_B": 2, "lora_alpha": 7})
    layer = make_layer(case)
    x, tasks = batch_of(layer)
    assert layer.specs["default"].scale == pytest.approx(7 / 3**0.5)
    assert relative_error(layer(x), wanted_output(layer, x, tasks)) <= 1e-10


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m2_holds_under_dropout_where_the_router_sees_all_of_x(
    case: Case, fast: str
) -> None:
    layer = make_layer(case, lora_dropout=0.4, fast=fast).train()
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    torch.manual_seed(5)
    got = layer(x)
    torch.manual_seed(5)
    # Both ways draw one mask of the shape of x, each with torch's own primitive.
    if fast == "off":
        dropped = nn.functional.dropout(x, 0.4)
    else:
        dropped = x * torch.empty(x.shape, dtype=torch.bool).bernoulli_(0.6) / 0.6
    wanted = wanted_output(layer, x, tasks, dropped=dropped)
    assert relative_error(got, wanted) <= 1e-10


@pytest.mark.parametrize("fast", ["auto", "off"])
def test_dropout_is_drawn_once_per_layer_for_all_pairs(fast: str) -> None:
    M, N, rate = 3, 4, 0.3
    config = CoTuneConfig(
        r=8, lora_alpha=8, num_A=M, num_B=N, lora_dropout=rate, fast=fast
    )
    base = nn.Linear(8, 8, bias=False).requires_grad_(False)
    layer = make_layer(config, base=base, dtype=torch.float32).train()
    with torch.no_grad():
        base.weight.zero_()
        layer.cotune_A["default"].copy_(torch.eye(8).expand(M, 8, 8))
        layer.cotune_B["default"].copy_(torch.eye(8).expand(N, 8, 8))
    torch.manual_seed(0)
    x = torch.ones(500, 8)
    y = layer(x)
    # With one mask for all M x N pairs an entry is all there or all gone.
    whole = torch.full_like(y, M * N / (1 - rate))
    assert ((y == 0) | torch.isclose(y, whole)).all()
    # 4000 entries: five standard deviations are 0.036.
    assert abs(float((y != 0).float().mean()) - (1 - rate)) < 0.036
    assert not torch.equal(y, layer(x))
    assert torch.isclose(layer.eval()(x), torch.full_like(y, M * N)).all()


# -- M6: every factor owns its storage -------------------------------------------------


@pytest.mark.parametrize("case", COMPUTING, ids=str)
def test_m6_no_two_factors_share_memory(case: Case) -> None:
    layer = make_layer(case, filled=False)
    everything = dict(layer.named_parameters())
    pointers = {p.untyped_storage().data_ptr() for p in everything.values()}
    assert len(pointers) == len(everything)
    for name, parameter in everything.items():
        # A view into something larger, or with repeated entries, would be saved larger.
        size = parameter.untyped_storage().nbytes()
        if "cotune" in name:
            assert size == parameter.numel() * parameter.element_size(), name
            assert parameter.is_contiguous(), name


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_the_base_weight_is_never_touched_by_a_start(case: Case) -> None:
    base = plain_base()
    before = {name: p.clone() for name, p in base.named_parameters()}
    make_layer(case, base=base)
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_the_same_seed_makes_the_same_layer_and_input_is_untouched(case: Case) -> None:
    one, two = make_layer(case, filled=False), make_layer(case, filled=False)
    for (name, mine), theirs in zip(
        one.named_parameters(), two.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs), name
    x, tasks = batch_of(one)
    copy = x.clone()
    one.state.current = two.state.current = tasks
    assert torch.equal(one(x), two(x))
    assert torch.equal(x, copy)


# -- shapes of inputs ------------------------------------------------------------------


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_inputs_of_2_3_and_4_dimensions_give_the_same_numbers(
    case: Case, fast: str
) -> None:
    layer = make_layer(case, fast=fast)
    x, tasks = batch_of(layer, samples=3, tokens=4)
    layer.state.current = tasks
    wanted = layer(x)
    assert wanted.shape == (3, 4, D_OUT)
    flat = layer(x.flatten(0, 1))
    deep = layer(x.view(3, 2, 2, D_IN))
    assert flat.shape == (12, D_OUT) and deep.shape == (3, 2, 2, D_OUT)
    torch.testing.assert_close(flat.view_as(wanted), wanted)
    torch.testing.assert_close(deep.view_as(wanted), wanted)


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_non_contiguous_inputs_and_gradients_are_fine(
    case: Case, bias: bool, fast: str
) -> None:
    layer = make_layer(case, base=plain_base(bias=bias), fast=fast)
    x, tasks = batch_of(layer, samples=3, tokens=4)
    layer.state.current = tasks
    strided = x.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    sliced = torch.cat([x, x], dim=-1)[..., :D_IN]
    wide = torch.stack([x, x], dim=2).flatten(1, 2)[:, ::2]
    plain = x.clone().requires_grad_(True)
    y = layer(plain)
    y.sum().backward()  # A gradient expanded from one number.
    grad = plain.grad
    assert grad is not None
    for other in (strided, sliced, wide):
        other = other.detach().requires_grad_(True)
        assert not other.is_contiguous()
        torch.testing.assert_close(layer(other), y)
        # A gradient whose axes are in another order.
        layer(other).transpose(0, 1).contiguous().sum().backward()
        torch.testing.assert_close(other.grad, grad)


@pytest.mark.parametrize("shape", [(0, D_IN), (0, 4, D_IN), (2, 0, D_IN)])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_an_empty_batch_gives_an_empty_output(
    case: Case, shape: tuple[int, ...]
) -> None:
    layer = make_layer(case)
    layer.state.current = [0] * shape[0]
    assert layer(torch.zeros(shape, dtype=torch.float64)).shape == (*shape[:-1], D_OUT)


def test_one_sample_and_one_token_work() -> None:
    for case in METHODS:
        layer = make_layer(case)
        x, tasks = batch_of(layer, samples=1, tokens=1)
        layer.state.current = tasks
        assert relative_error(layer(x), wanted_output(layer, x, tasks)) <= 1e-10


@pytest.mark.parametrize("kind", ["linear", "custom"])
def test_arguments_of_the_base_layer_reach_it(kind: str) -> None:
    inner = plain_base()
    assert isinstance(inner, nn.Linear)
    layer = make_layer(Case("", {"start": "kaiming"}), base=Custom(inner))
    x, tasks = batch_of(layer)
    wanted = 3.0 * inner(x) + loop_update(read_bank(layer), x, tasks)
    assert relative_error(layer(x, 3.0), wanted) <= 1e-10
    assert relative_error(layer(x, gain=3.0), wanted) <= 1e-10


# -- refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base", [nn.Embedding(4, 5), nn.Conv2d(3, 3, 1), nn.LayerNorm(4), nn.Identity()]
)
def test_layers_without_features_are_refused(base: nn.Module) -> None:
    with pytest.raises(ConfigError, match="must name layers with in_features"):
        CollaborativeLayer(base, "default", CoTuneConfig(), 4, 8, TaskState())


@pytest.mark.parametrize("start", ["pissa", "pissa-split"])
def test_a_start_from_the_weight_is_refused_without_one(start: str) -> None:
    with pytest.raises(ConfigError, match="Use start='kaiming'"):
        make_layer(Case("", {"start": start}), base=base_of("custom"))


def test_too_many_singular_directions_are_refused() -> None:
    case = Case("", {"start": "pissa-split", "num_A": 4, "num_B": 4})
    with pytest.raises(ConfigError, match="needs 12 singular directions"):
        make_layer(case)


def test_a_layer_says_what_it_is() -> None:
    text = repr(make_layer(METHODS[0]))
    assert text.startswith("cotune.CollaborativeLayer(")
    assert TASKS == ["art", "bio", "law"]
