import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.convert._recompress import (
    frobenius_norm,
    recompress,
    relative_distance,
)


def best_error(delta, rank):
    S = torch.linalg.svdvals(delta)
    return float(S[rank:].norm() / S.norm())


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_recompressing_factors_is_the_truncated_svd_of_their_product(draw, rank):
    update = draw(0, d_out=9, d_in=7, rank=5)
    U, S, Vh = torch.linalg.svd(update.delta())
    smaller, error = recompress(update, rank)
    expected = U[:, :rank] @ torch.diag(S[:rank]) @ Vh[:rank]
    assert torch.allclose(smaller.delta(), expected, atol=1e-12)
    assert smaller.rank == rank
    assert error == pytest.approx(best_error(update.delta(), rank), abs=1e-12)


def test_the_factors_share_the_singular_values_evenly(draw):
    smaller, _ = recompress(draw(1, rank=4), 3)
    assert torch.allclose(smaller.A @ smaller.A.T, smaller.B.T @ smaller.B, atol=1e-12)


def test_factors_that_are_small_enough_come_back_as_they_are(draw):
    update = draw(2)
    smaller, error = recompress(update, 4)
    assert smaller.A is update.A
    assert smaller.B is update.B
    assert error == 0


def test_a_rank_above_both_dimensions_is_reduced_to_the_smaller_one_exactly(draw):
    update = draw(3, d_out=4, d_in=3, rank=11)
    smaller, error = recompress(update, 11)
    assert smaller.rank == 3
    assert error < 1e-14
    assert torch.allclose(smaller.delta(), update.delta(), atol=1e-12)


def test_a_dense_update_is_recompressed_like_its_factors(draw):
    update = draw(4, d_out=8, d_in=6, rank=4)
    dense, dense_error = recompress(update.delta(), 2)
    factors, error = recompress(update, 2)
    assert torch.allclose(dense.delta(), factors.delta(), atol=1e-12)
    assert dense_error == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("target", [0.0, 0.05, 0.3, 0.6, 0.9])
def test_an_error_target_takes_the_smallest_rank_that_reaches_it(draw, target):
    update = draw(5, d_out=12, d_in=10, rank=6)
    smaller, error = recompress(update, max_error=target)
    assert error <= target + 1e-12
    if smaller.rank > 1:
        assert best_error(update.delta(), smaller.rank - 1) > target


def test_an_energy_target_is_one_minus_the_squared_error(draw):
    update = draw(6, d_out=12, d_in=10, rank=6)
    by_energy, _ = recompress(update, energy=1 - 0.3**2)
    by_error, _ = recompress(update, max_error=0.3)
    assert by_energy.rank == by_error.rank
    assert torch.equal(by_energy.A, by_error.A)


def test_the_rank_is_the_limit_of_an_error_target(draw):
    update = draw(7, rank=5)
    smaller, error = recompress(update, 2, max_error=1e-6)
    assert smaller.rank == 2
    assert error > 1e-6


@pytest.mark.parametrize("target", [0.3, 0.6, 0.8])
def test_an_error_target_holds_in_a_random_subspace_that_misses_much(target):
    # A flat spectrum: a subspace of 38 + 8 directions holds three quarters of it.
    dice = torch.Generator().manual_seed(0)
    delta = torch.linalg.qr(torch.randn(60, 60, generator=dice).double())[0]
    options = {"max_error": target, "iterations": 0, "generator": dice}
    smaller, error = recompress(delta, 38, **options)
    reachable = best_error(delta, 38) <= target
    assert (error <= target + 1e-12) == reachable
    if not reachable:
        assert smaller.rank == 38


@pytest.mark.parametrize("form", ["factors", "dense"])
def test_a_zero_update_gives_rank_one_zeros_and_no_error(form):
    update = LowRank(torch.zeros(3, 5), torch.zeros(4, 3))
    update = update if form == "factors" else update.delta()
    smaller, error = recompress(update, max_error=0.1)
    assert smaller.rank == 1
    assert error == 0
    assert not smaller.delta().any()


def test_the_error_in_bfloat16_counts_the_rounding(draw):
    update = draw(8, d_out=16, d_in=16, rank=4, dtype=torch.bfloat16)
    smaller, error = recompress(update, max_error=0.0)
    assert smaller.A.dtype == torch.bfloat16
    gap = update.delta().double() - smaller.A.new_zeros(())
    truth = update.B.double() @ update.A.double()
    gap = (truth - smaller.B.double() @ smaller.A.double()).norm() / truth.norm()
    # bf16 keeps 8 bits: about 2^-9 per factor.
    assert 1e-4 < error < 1e-2
    assert error == pytest.approx(float(gap), rel=1e-3)


def test_another_dtype_can_be_asked_for_and_its_rounding_is_counted(draw):
    update = draw(9)
    smaller, error = recompress(update, 2, dtype=torch.bfloat16)
    assert smaller.B.dtype == torch.bfloat16
    assert 1e-4 < error < 1e-2


def test_the_random_subspace_finds_the_same_matrix_with_a_stated_error(draw):
    source = torch.Generator().manual_seed(0)
    noise = 1e-3 * torch.randn(60, 50, generator=source, dtype=torch.float64)
    delta = draw(10, d_out=60, d_in=50, rank=4).delta() + noise
    exact, least = recompress(delta, 4)
    fast, error = recompress(
        delta, 4, iterations=2, generator=torch.Generator().manual_seed(1)
    )
    assert error == pytest.approx(least, rel=1e-6)
    assert relative_distance(exact, fast) < 1e-6
    again, _ = recompress(
        delta, 4, iterations=2, generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(again.A, fast.A)


@pytest.mark.parametrize("d_out", [1, 3, 8])
def test_the_norm_of_factors_is_that_of_their_product(draw, d_out):
    update = draw(11, d_out=d_out, rank=4)
    assert frobenius_norm(update) == pytest.approx(float(update.delta().norm()))


def test_the_distance_of_equal_updates_in_other_factors_is_at_rounding(draw):
    update = draw(12, rank=3, dtype=torch.float32)
    P = torch.tensor([[2.0, 1, 0], [0, 1, 3], [1, 0, 1]])
    other = LowRank(torch.linalg.inv(P) @ update.A, update.B @ P)
    # A difference of Gram traces would give about sqrt(1e-7) here.
    assert relative_distance(update, other) < 3e-6


def test_the_distance_from_zero_is_infinite_unless_both_are(draw):
    zero = LowRank(torch.zeros(1, 5), torch.zeros(6, 1))
    assert relative_distance(zero, draw(13, dtype=torch.float32)) == math.inf
    assert relative_distance(zero, zero) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "a target is needed"),
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"max_error": 1.0}, r"max_error must be in \[0, 1\)"),
        ({"max_error": -0.1}, "max_error"),
        ({"energy": 0.0}, r"energy must be in \(0, 1\]"),
        ({"max_error": 0.1, "energy": 0.9}, "got both"),
        ({"rank": 1, "iterations": 2}, "needs rank and generator"),
    ],
)
def test_targets_outside_their_range_are_refused(draw, arguments, message):
    with pytest.raises(ConfigError, match=message):
        recompress(draw(14), **arguments)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("form", ["factors", "dense"])
def test_an_update_that_is_not_finite_is_refused(draw, bad, form):
    update = draw(15, rank=3)
    update.A[0, 0] = bad
    update = update if form == "factors" else update.delta()
    with pytest.raises(ConfigError, match="must be finite"):
        recompress(update, 1)


@settings(deadline=None, max_examples=60)
@given(
    d_out=st.integers(1, 9),
    d_in=st.integers(1, 9),
    rank=st.integers(1, 12),
    target=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_the_error_is_the_best_possible_for_every_shape(
    d_out, d_in, rank, target, seed
):
    source = torch.Generator().manual_seed(seed)
    update = LowRank(
        torch.randn(rank, d_in, generator=source, dtype=torch.float64),
        torch.randn(d_out, rank, generator=source, dtype=torch.float64),
    )
    smaller, error = recompress(update, target)
    assert smaller.shape == (d_out, d_in)
    assert smaller.rank == min(rank, target, d_out, d_in)
    assert error == pytest.approx(best_error(update.delta(), target), abs=1e-10)
