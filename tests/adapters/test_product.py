"""The fast and the generic way give the same numbers, or the fast one steps back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from adapters.layers import (
    D_IN,
    D_OUT,
    Case,
    batch_of,
    make_layer,
    method_cases,
    plain_base,
)
from adapters.models import adapted, grid
from cotune._errors import ConfigError
from cotune.adapters import CollaborativeLayer
from cotune.adapters._product import (
    _softmax,
    _weigh_by_blocks,
    _weigh_by_products,
    plain_weight,
)
from helpers import logits, tiny_batch

METHODS = method_cases()
# Largest relative difference of two ways to round: a few units in the last place.
PRECISION = {
    torch.float64: 1e-13,
    torch.float32: 1e-5,
    torch.float16: 8e-3,
    torch.bfloat16: 6e-2,
}
HALF = [torch.float16, torch.bfloat16]


def error(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())


def run(layer: CollaborativeLayer, x: Tensor, fast: str) -> list[Tensor]:
    """Return the output and all gradients of one way."""
    layer.specs["default"].config.fast = fast
    layer.zero_grad(set_to_none=True)
    x = x.detach().requires_grad_(True)
    torch.manual_seed(0)
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel()).view_as(y)
    (y.float() * weights).sum().backward()
    grads = [p.grad for p in layer.parameters() if p.requires_grad]
    assert x.grad is not None and all(grad is not None for grad in grads)
    return [y, x.grad, *(grad for grad in grads if grad is not None)]


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("tokens", [5, 1], ids=["per-token", "per-sample"])
def test_the_way_of_a_cpu_weighs_blocks_as_that_of_a_gpu_does(summed, blocks, tokens):
    torch.manual_seed(0)
    wide = torch.randn(2, 5, blocks * 4, dtype=torch.float64)
    gate = torch.rand(2, tokens, 3, dtype=torch.float64)
    one, other = (
        weigh(wide, gate, 4, summed) for weigh in (_weigh_by_blocks, _weigh_by_products)
    )
    assert one.shape == (2, 5, 4 if summed else 12)
    assert error(other, one) < 1e-15


@pytest.mark.parametrize("shape", [(6, 3), (2, 6, 3)])
def test_the_softmax_of_a_router_is_over_its_experts(shape):
    logits = torch.randn(shape, dtype=torch.float64)
    assert error(_softmax(logits), torch.softmax(logits, dim=-1)) < 1e-15


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
@pytest.mark.parametrize("dtype", PRECISION, ids=str)
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_both_ways_agree_in_every_dtype(
    case: Case, dtype: torch.dtype, kind: str
) -> None:
    layer = make_layer(case, base=plain_base(kind), dtype=dtype)
    x, tasks = batch_of(layer, tokens=5, dtype=dtype)
    layer.state.current = tasks
    for mine, theirs in zip(run(layer, x, "auto"), run(layer, x, "off"), strict=True):
        assert mine.dtype == theirs.dtype
        assert error(mine, theirs) <= PRECISION[dtype]


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("base_dtype", HALF, ids=str)
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_factors_in_fp32_work_on_a_base_in_half_precision(
    case: Case, base_dtype: torch.dtype, fast: str
) -> None:
    layer = make_layer(case, dtype=torch.float32)
    x, tasks = batch_of(layer, tokens=5, dtype=base_dtype)
    layer.state.current = tasks
    wanted = run(layer, x.float(), "off")
    layer.base_layer.to(base_dtype)
    got = run(layer, x, fast)
    assert got[0].dtype == base_dtype
    assert all(grad.dtype == torch.float32 for grad in got[2:])
    for mine, theirs in zip(got, wanted, strict=True):
        assert error(mine, theirs) <= PRECISION[base_dtype]


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_autocast_gives_its_dtype_and_fp32_gradients(
    case: Case, dtype: torch.dtype, fast: str
) -> None:
    layer = make_layer(case, dtype=torch.float32)
    x, tasks = batch_of(layer, tokens=5, dtype=torch.float32)
    layer.state.current = tasks
    wanted = run(layer, x, "off")
    with torch.autocast("cpu", dtype=dtype):
        got = run(layer, x, fast)
        assert layer.base_layer(x).dtype == got[0].dtype == dtype
    for mine, theirs in zip(got[1:], wanted[1:], strict=True):
        assert mine.dtype == torch.float32
        assert error(mine, theirs) <= PRECISION[dtype]


@pytest.mark.parametrize("fast", ["auto", "off"])
def test_the_router_decides_in_fp32_whatever_the_dtype(fast: str) -> None:
    seen: list[torch.dtype] = []
    layer = make_layer(Case("", {"method": "alora", "fast": fast}))
    layer.to(torch.bfloat16)
    layer.state.router_watch = lambda *names: lambda shares: seen.append(shares.dtype)  # pyright: ignore
    layer(batch_of(layer, dtype=torch.bfloat16)[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer.float()(batch_of(layer, dtype=torch.float32)[0])
    assert seen == [torch.float32, torch.float32]


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in HALF)],
    ids=str,
)
@pytest.mark.parametrize(("method", "family"), grid())
def test_both_ways_agree_in_whole_models(
    method: str, family: str, dtype: torch.dtype
) -> None:
    tasks = ["law", "art", "law", "bio"]
    outputs = [
        logits(
            adapted(method, family, model={"dtype": dtype}, fast=fast),
            tiny_batch(family),
            tasks=tasks,
        )
        for fast in ("auto", "off")
    ]
    assert error(*outputs) <= 2 * PRECISION[dtype]


# -- where the fast way must step back -------------------------------------------------


class Louder(nn.Linear):
    """A subclass with a forward of its own, as quantised layers are."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Wrapped(nn.Parameter):
    """A parameter of another type, as sharded and quantised weights are."""


def subclass(base: nn.Linear) -> nn.Module:
    other = Louder(D_IN, D_OUT).double().requires_grad_(False)
    other.load_state_dict(base.state_dict())
    return other


def forward_hook(base: nn.Linear) -> nn.Module:
    base.register_forward_hook(lambda module, args, output: 2 * output)
    return base


def pre_hook(base: nn.Linear) -> nn.Module:
    base.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    return base


def backward_hook(base: nn.Linear) -> nn.Module:
    base.register_full_backward_hook(lambda module, grads, outs: (2 * grads[0],))
    return base


def replaced_forward(base: nn.Linear) -> nn.Module:
    # As accelerate does for offloaded weights.
    before = base.forward
    base.forward = lambda x: 2 * before(x)
    return base


def trained_bias(base: nn.Linear) -> nn.Module:
    base.bias.requires_grad_(True)
    return base


def trained_weight(base: nn.Linear) -> nn.Module:
    base.weight.requires_grad_(True)
    return base


def parametrised(base: nn.Linear) -> nn.Module:
    return weight_norm(base).requires_grad_(False)


def other_parameter(base: nn.Linear) -> nn.Module:
    base.weight = Wrapped(base.weight.data, requires_grad=False)
    return base


@pytest.mark.parametrize(
    "change",
    [
        subclass,
        forward_hook,
        pre_hook,
        backward_hook,
        replaced_forward,
        trained_bias,
        trained_weight,
        parametrised,
        other_parameter,
    ],
)
def test_the_fast_way_steps_back_where_someone_could_tell(
    change: Callable[[nn.Linear], nn.Module],
) -> None:
    base = plain_base()
    assert isinstance(base, nn.Linear)
    assert plain_weight(base) is not None
    changed = change(base)
    assert plain_weight(changed) is None
    layer = make_layer(Case("", {"start": "kaiming"}), base=changed)
    x, _ = batch_of(layer)
    for mine, theirs in zip(run(layer, x, "auto"), run(layer, x, "off"), strict=True):
        assert torch.equal(mine, theirs)


def test_gradients_of_a_trained_bias_arrive() -> None:
    base = plain_base()
    layer = make_layer(METHODS[0], base=base)
    layer.base_layer.bias.requires_grad_(True)
    layer(batch_of(layer)[0]).sum().backward()
    grad = layer.base_layer.bias.grad
    assert torch.equal(grad, torch.full_like(grad, 6.0))


# -- higher derivatives and other modes ------------------------------------------------


def test_double_backward_is_refused_the_fast_way() -> None:
    layer = make_layer(METHODS[0])
    x = batch_of(layer)[0].requires_grad_(True)
    (grad,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_double_backward_works_the_generic_way(case: Case) -> None:
    layer = make_layer(case, r=2, fast="off")
    x, tasks = batch_of(layer, samples=2, tokens=1)
    layer.state.current = tasks
    assert torch.autograd.gradgradcheck(layer, (x.requires_grad_(True),))


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_factors_changed_before_backward_give_an_error_or_the_right_gradient(
    case: Case, fast: str
) -> None:
    layer = make_layer(case, fast=fast)
    x, tasks = batch_of(layer)
    x.requires_grad_(True)
    layer.state.current = tasks
    (wanted,) = torch.autograd.grad(layer(x).sum(), x)
    y = layer(x)
    with torch.no_grad():
        layer.cotune_A["default"].add_(1)
        layer.cotune_B["default"].add_(1)
    try:
        (got,) = torch.autograd.grad(y.sum(), x)
    except RuntimeError as error:
        assert "in place" in str(error) or "inplace" in str(error)
    else:
        torch.testing.assert_close(got, wanted)


def test_fast_on_refuses_layers_that_it_cannot_stand_in_for() -> None:
    base = plain_base()
    layer = make_layer(Case("", {"method": "lora", "fast": "on"}), base=base)
    x, _ = batch_of(layer)
    layer(x)
    base.register_forward_hook(lambda module, args, output: output)
    with pytest.raises(ConfigError, match="'on' needs a frozen Linear or Conv1D"):
        layer(x)


@pytest.mark.parametrize("case", METHODS, ids=str)
def test_inference_mode_and_no_grad_give_the_same_numbers(case: Case) -> None:
    layer = make_layer(case)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    wanted = layer(x).detach()
    with torch.no_grad():
        assert torch.equal(layer(x), wanted)
    with torch.inference_mode():
        assert torch.equal(layer(x), wanted)


@pytest.mark.parametrize("fast", ["auto", "off"])
def test_an_output_changed_in_place_does_not_break_backward(fast: str) -> None:
    layer = make_layer(Case("", {"method": "dual", "fast": fast}))
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    x.requires_grad_(True)
    layer(x).mul_(2).add_(1).sum().backward()
    wanted, x.grad = x.grad, None
    (2 * layer(x) + 1).sum().backward()
    assert x.grad is not None and wanted is not None
    torch.testing.assert_close(x.grad, wanted)


def test_the_fast_way_saves_less_for_backward_than_the_generic_one() -> None:
    def saved(fast: str) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        layer = make_layer(
            Case("", {"method": "lora", "lora_dropout": 0.1, "fast": fast}),
            base=plain_base(),
            dtype=torch.float32,
        ).train()
        x = batch_of(layer, tokens=64, dtype=torch.float32)[0].requires_grad_(True)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            layer(x)
        return sum(sizes.values())

    # The generic way keeps the dropped-out x besides x itself; the fast one a mask.
    assert saved("auto") < saved("off")
