"""One task's update as one low-rank pair, without a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.layers import (
    COPY_FORMS,
    TASKS,
    Case,
    batch_of,
    coupling_cases,
    make_layer,
)
from adapters.oracle import loop_update, read_bank
from cotune._errors import ConfigError
from cotune.adapters import CORES, CollaborativeLayer, resolve

CASES = [
    *coupling_cases(cores=["none"], starts=COPY_FORMS),
    *coupling_cases(cores=list(CORES), starts=["pissa"]),
]


def parts(layer: CollaborativeLayer) -> tuple[str, str]:
    config = layer.specs["default"].config
    return str(config.coupling), str(config.core)


def wanted_matrix(layer: CollaborativeLayer, row: int) -> Tensor:
    columns = torch.eye(layer.in_features, dtype=torch.float64).unsqueeze(0)
    return loop_update(read_bank(layer), columns, [row])[0].T


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_pair_is_the_double_loop_or_is_refused(case: Case) -> None:
    layer = make_layer(case)
    factors = layer.factors("default")
    coupling, core = parts(layer)
    spec = layer.specs["default"]
    before = {name: value.clone() for name, value in factors.tensors().items()}
    for row in (0, 2):
        if coupling == "router":
            with pytest.raises(ConfigError, match="cannot be merged or exported"):
                resolve(factors, coupling, core, row)
            continue
        update = resolve(factors, coupling, core, row)
        wanted = wanted_matrix(layer, row)
        torch.testing.assert_close(update.delta(), wanted, rtol=1e-10, atol=1e-10)
        blocks = 1 if coupling == "full" else min(len(factors.A), len(factors.B))
        assert update.rank <= spec.r * blocks * (1 if factors.A0 is None else 2)
    for name, value in factors.tensors().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("sizes", [(3, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("start", COPY_FORMS)
def test_shares_stand_in_for_a_router_and_are_exact_where_it_is_constant(
    sizes: tuple[int, int], start: str
) -> None:
    fields = {"coupling": "router", "num_A": sizes[0], "num_B": sizes[1], "r": 2}
    layer = make_layer(Case("", {**fields, "start": start}))
    with torch.no_grad():
        layer.cotune_router["default"].zero_()
    shares = torch.full((3,), 1 / 3, dtype=torch.float64)
    update = resolve(layer.factors("default"), "router", "none", shares=shares)
    torch.testing.assert_close(update.delta(), wanted_matrix(layer, 0))


@pytest.mark.parametrize(
    ("fields", "experts", "given"),
    [
        ({"coupling": "router", "num_A": 3, "num_B": 1}, 3, 2),
        ({"coupling": "full", "num_A": 3, "num_B": 1}, 0, 3),
        ({"coupling": "learned", "num_A": 2, "num_B": 3}, 0, 3),
    ],
)
def test_shares_that_no_router_has_are_refused(
    fields: dict[str, Any], experts: int, given: int
) -> None:
    layer = make_layer(Case("", {**fields, "start": "kaiming", "r": 2}))
    coupling, shares = str(fields["coupling"]), torch.full((given,), 1 / given)
    with pytest.raises(ConfigError, match=f"{experts} with coupling '{coupling}'"):
        resolve(layer.factors("default"), coupling, "none", 0, shares)


def test_a_missing_task_is_asked_for() -> None:
    layer = make_layer(Case("", {"method": "colora"}))
    with pytest.raises(ConfigError, match="so one must be named, got none"):
        resolve(layer.factors("default"), "full", "full")


def test_the_factors_of_a_layer_are_views_in_the_shapes_of_the_formula() -> None:
    layer = make_layer(Case("", {"method": "mtl"}))
    factors = layer.factors("default")
    assert factors.A.shape == (1, 3, 12) and factors.B.shape == (3, 10, 3)
    assert factors.core is not None and factors.core.shape == (3, 3, 3)
    assert factors.weight is not None and factors.weight.shape == (3, 3)
    assert factors.B.data_ptr() == layer.cotune_B["default"].data_ptr()
    assert not factors.A.requires_grad and factors.rank == 3


@pytest.mark.parametrize("case", coupling_cases(["none"], ["kaiming"]), ids=str)
def test_a_named_task_gives_the_update_that_a_pinned_one_gives(case: Case) -> None:
    layer = make_layer(case)
    if not layer.specs["default"].coupling.can_merge:
        with pytest.raises(ConfigError, match="router"):
            layer.low_rank("default", "bio")
        return
    named = layer.low_rank("default", "bio").delta()
    with layer.state.pin("bio"):
        assert torch.equal(layer.low_rank("default").delta(), named)
    x, _ = batch_of(layer)
    with layer.state.pin("bio"):
        torch.testing.assert_close(layer(x) - layer.base_layer(x), x @ named.T)
    assert TASKS[1] == "bio"
