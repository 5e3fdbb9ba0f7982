from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cotune.theory.coto._bound import CONVEX, _concave, _enumerate, gap


def _square(y: Tensor) -> Tensor:
    return y.square().sum(-1)


def test_the_gap_of_two_adapters_by_hand() -> None:
    # Sets: none, first, second, both. Only j = 1 averages anything:
    # 2 p (1 - p) [(1 + 9) / 2 - ((1 + 3) / 2)^2] = 2 * .25 * .75 * 1.
    outputs = torch.tensor([[5.0], [1.0], [3.0], [7.0]])
    torch.testing.assert_close(gap(outputs, _square, 0.25), torch.tensor(0.375))


def test_one_adapter_or_a_linear_loss_leaves_no_gap() -> None:
    outputs = torch.randn(5, 8, 3, dtype=torch.float64)
    linear = gap(outputs, lambda y: y.sum(-1), 0.3)
    assert float(linear.abs().max()) < 1e-12
    single = gap(outputs[:, :2], _square, 0.3)
    assert float(single.abs().max()) < 1e-12


@given(seed=st.integers(0, 1000), chance=st.floats(0.01, 0.99))
def test_convex_losses_keep_the_bound_and_a_concave_one_breaks_it(
    seed: int, chance: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(16, 3, generator=generator, dtype=torch.float64)
    for loss in CONVEX.values():
        assert float(gap(outputs, loss, chance)) >= -1e-10
    assert float(gap(outputs, _concave, chance)) < -1e-10


@pytest.mark.parametrize("depth", [1, 3])
def test_every_mask_gives_its_own_output(depth: int) -> None:
    outputs = _enumerate(depth, seed=0)
    assert outputs.shape == (2**depth, 3)
    assert len({tuple(row) for row in outputs.tolist()}) == 2**depth
