import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.convert._recompress import relative_distance
from cotune.operators.merge._align import align, align_factors
from cotune.operators.merge._fuse import fuse
from cotune.operators.merge._mix import mix


def distance(update, reference):
    """Write out what align_factors minimises."""
    B = (reference.B - update.B).square().sum() / reference.B.square().sum()
    A = (reference.A - update.A).square().sum() / reference.A.square().sum()
    return float(A + B)


def gauged(update, P):
    return LowRank(torch.linalg.inv(P) @ update.A, update.B @ P)


@settings(deadline=None, max_examples=25)
@given(rank=st.integers(1, 6), seed=st.integers(0, 999))
def test_an_invertible_gauge_is_recovered(rank, seed):
    source = torch.Generator().manual_seed(seed)
    options = {"generator": source, "dtype": torch.float64}
    update = LowRank(torch.randn(rank, 9, **options), torch.randn(8, rank, **options))
    P = torch.randn(rank, rank, **options)
    # Kept away from singular matrices, so that the gauge itself is well posed.
    P = P + 3 * torch.linalg.matrix_norm(P, 2) * torch.eye(rank, dtype=torch.float64)
    near = align_factors(gauged(update, P), update)
    assert torch.allclose(near.A, update.A, atol=1e-8)
    assert torch.allclose(near.B, update.B, atol=1e-8)


def test_two_forms_of_one_update_merge_to_that_update(draw):
    update = draw(0, rank=3)
    P = torch.tensor([[2.0, 1, 0], [0, -1, 3], [1, 0, 1]], dtype=torch.float64)
    updates = [update, gauged(update, P), gauged(update, -P)]
    merged = align(updates, [0.2, 0.3, 0.5])
    assert torch.allclose(merged.delta(), update.delta(), atol=1e-8)
    assert relative_distance(update, fuse(updates, [0.2, 0.3, 0.5])) > 0.1


@pytest.mark.parametrize("seed", range(6))
def test_the_update_stays_the_same_and_comes_no_further_away(draw, seed):
    update, reference = draw(seed, rank=4), draw(seed + 50, rank=4)
    near = align_factors(update, reference)
    assert torch.allclose(near.delta(), update.delta(), atol=1e-9)
    assert distance(near, reference) <= distance(update, reference)


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_a_minimum(draw, seed):
    update, reference = draw(seed, rank=3), draw(seed + 50, rank=3)
    near = align_factors(update, reference, iterations=2000)
    best = distance(near, reference)
    source = torch.Generator().manual_seed(seed)
    for _ in range(30):
        step = 1e-3 * torch.randn(3, 3, generator=source, dtype=torch.float64)
        moved = gauged(near, torch.eye(3, dtype=torch.float64) + step)
        assert distance(moved, reference) >= best - 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_noisy_rotated_copy_comes_nearer_than_by_the_best_rotation(draw, seed):
    reference = draw(seed, d_out=32, d_in=32, rank=8)
    noise = draw(seed + 50, d_out=32, d_in=32, rank=8)
    Q = torch.linalg.qr(noise.A[:, :8])[0]
    noisy = LowRank(reference.A + noise.A, reference.B + noise.B)
    update = gauged(noisy, Q)
    slope = update.B.T @ reference.B / reference.B.square().sum()
    slope = slope + update.A @ reference.A.T / reference.A.square().sum()
    U, _, Vh = torch.linalg.svd(slope)
    near = align_factors(update, reference)
    rotated = distance(gauged(update, U @ Vh), reference)
    assert distance(near, reference) < rotated < distance(update, reference)


def test_the_fusion_gap_shrinks(draw):
    one = draw(0, d_out=20, d_in=20, rank=4)
    noise = draw(1, d_out=20, d_in=20, rank=4)
    Q = torch.linalg.qr(noise.A @ noise.A.T)[0]
    two = gauged(LowRank(one.A + 0.1 * noise.A, one.B + 0.1 * noise.B), Q)
    weights = [0.5, 0.5]
    mixed = mix([one, two], weights)
    before = relative_distance(mixed, fuse([one, two], weights))
    after = relative_distance(mixed, align([one, two], weights))
    assert after < 0.02 < 0.3 < before


def test_another_adapter_can_be_the_reference(draw):
    updates = [draw(0), draw(1)]
    by_first = align(updates, [0.5, 0.5])
    by_second = align(updates, [0.5, 0.5], reference=1)
    swapped = align(updates[::-1], [0.5, 0.5])
    assert torch.allclose(by_second.delta(), swapped.delta(), atol=1e-12)
    assert not torch.allclose(by_first.A, by_second.A)


def test_a_reference_of_zeros_leaves_the_other_factors_free(draw):
    update = draw(0)
    start = LowRank(draw(1).A, torch.zeros(6, 2, dtype=torch.float64))
    near = align_factors(update, start)
    assert torch.allclose(near.delta(), update.delta(), atol=1e-9)
    assert torch.isfinite(near.A).all()


@pytest.mark.parametrize("reference", [-1, 2])
def test_a_reference_that_is_not_there_is_refused(draw, reference):
    with pytest.raises(ConfigError, match=r"reference must be in \[0, 1\]"):
        align([draw(0), draw(1)], [0.5, 0.5], reference=reference)


def test_factors_of_other_ranks_cannot_be_aligned(draw):
    with pytest.raises(ConfigError, match="one shape and rank"):
        align_factors(draw(0), draw(1, rank=3))
