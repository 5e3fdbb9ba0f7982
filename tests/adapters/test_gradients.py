"""Check M3: the gradients are those of the formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adapters.layers import (
    Case,
    batch_of,
    coupling_cases,
    make_layer,
    method_cases,
    relative_error,
    trained,
    with_fast,
)
from adapters.oracle import loop_update, read_bank
from cotune.adapters import CollaborativeLayer

METHODS = method_cases()
LEARNING = [*METHODS, *coupling_cases(cores=["none", "full"], starts=["pissa-split"])]


def gradients(layer: CollaborativeLayer, x: Tensor, y: Tensor) -> list[Tensor]:
    dice = torch.Generator().manual_seed(11)
    weights = torch.randn(y.shape, generator=dice, dtype=y.dtype)
    inputs = [x, *trained(layer).values()]
    return list(torch.autograd.grad((y * weights).sum(), inputs))


@pytest.mark.parametrize("case", LEARNING, ids=str)
def test_m3_gradients_equal_autograd_of_the_double_loop(case: Case) -> None:
    layer = make_layer(case)
    x, tasks = batch_of(layer)
    x.requires_grad_(True)
    layer.state.current = tasks
    live = read_bank(layer, live=True)
    wanted = gradients(layer, x, layer.base_layer(x) + loop_update(live, x, tasks))
    for fast in ("auto", "off"):
        got = gradients(layer, x, with_fast(layer, fast)(x))
        for name, mine, theirs in zip(["x", *trained(layer)], got, wanted, strict=True):
            assert relative_error(mine, theirs) <= 1e-10, name


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m3_gradcheck_passes(case: Case, fast: str) -> None:
    layer = make_layer(case, r=2, fast=fast)
    x, tasks = batch_of(layer, samples=2, tokens=2)
    x.requires_grad_(True)
    names = list(trained(layer))
    values = tuple(p.detach().clone().requires_grad_() for p in trained(layer).values())

    def run(x: Tensor, *values: Tensor) -> Tensor:
        layer.state.current = tasks
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, given, (x,))

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_m3_gradients_under_dropout_are_those_of_the_drawn_mask(
    case: Case, fast: str
) -> None:
    layer = make_layer(case, lora_dropout=0.4, fast=fast).train()
    x, tasks = batch_of(layer)
    x.requires_grad_(True)
    layer.state.current = tasks
    torch.manual_seed(5)
    got = gradients(layer, x, layer(x))
    torch.manual_seed(5)
    keep = torch.empty(x.shape, dtype=torch.bool).bernoulli_(0.6)
    if fast == "off":
        torch.manual_seed(5)
        keep = nn.functional.dropout(torch.ones_like(x), 0.4) != 0
    live = read_bank(layer, live=True)
    y = layer.base_layer(x) + loop_update(live, x, tasks, dropped=x * keep / 0.6)
    for mine, theirs in zip(got, gradients(layer, x, y), strict=True):
        assert relative_error(mine, theirs) <= 1e-10


@pytest.mark.parametrize("case", LEARNING, ids=str)
def test_every_trainable_factor_has_a_gradient_after_one_backward(case: Case) -> None:
    layer = make_layer(case, filled=False, dtype=torch.float32).train()
    x, tasks = batch_of(layer, dtype=torch.float32)
    layer.state.current = tasks
    layer(x).square().sum().backward()
    for name, parameter in trained(layer).items():
        assert parameter.grad is not None, name
    frozen = [p for p in layer.parameters() if not p.requires_grad]
    assert all(parameter.grad is None for parameter in frozen)


@pytest.mark.parametrize("fast", ["auto", "off"])
@pytest.mark.parametrize("case", METHODS, ids=str)
def test_frozen_factors_get_no_gradient_and_change_no_other(
    case: Case, fast: str
) -> None:
    layer = make_layer(case, fast=fast)
    x, tasks = batch_of(layer)
    layer.state.current = tasks
    layer(x).square().sum().backward()
    wanted = {name: p.grad.clone() for name, p in trained(layer).items()}  # pyright: ignore
    for frozen in wanted:
        layer.zero_grad(set_to_none=True)
        layer.get_parameter(frozen).requires_grad_(False)
        layer(x).square().sum().backward()
        for name, parameter in trained(layer).items():
            assert parameter.grad is not None
            assert relative_error(parameter.grad, wanted[name]) <= 1e-12, name
        assert layer.get_parameter(frozen).grad is None
        layer.get_parameter(frozen).requires_grad_(True)
