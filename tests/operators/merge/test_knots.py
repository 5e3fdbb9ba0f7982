import pytest
import torch

from cotune._adapter import LowRank
from cotune.operators.merge._knots import knots, shared_basis
from cotune.operators.merge._mix import mix
from cotune.operators.merge._ties import ties


def test_the_basis_is_the_svd_of_the_updates_side_by_side(draw):
    updates = [draw(0, rank=2), draw(1, rank=1)]
    U, coordinates = shared_basis(updates)
    assert torch.allclose(U.T @ U, torch.eye(3, dtype=torch.float64), atol=1e-12)
    for update, matrix in zip(updates, coordinates, strict=True):
        assert torch.allclose(U @ matrix, update.delta(), atol=1e-12)
    beside = torch.cat([update.delta() for update in updates], dim=1)
    expected, S, _ = torch.linalg.svd(beside, full_matrices=False)
    assert torch.allclose((U.T @ expected[:, :3]).abs(), torch.eye(3).double())
    assert torch.allclose(torch.cat(coordinates, dim=1).norm(dim=1), S[:3])


@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
def test_knots_is_ties_when_the_shared_basis_is_that_of_the_matrix(density):
    # Rows of [delta_1 delta_2] that are orthogonal and of different length: U is the
    # identity up to order and sign.
    source = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(10, 4, generator=source).double())[0].T
    rows = rows * torch.tensor([[4.0], [3.0], [2.0], [1.0]]).double()
    eye = torch.eye(4, dtype=torch.float64)
    updates = [LowRank(rows[:, :5], eye), LowRank(rows[:, 5:], eye)]
    merged = knots(updates, [0.5, 0.5], density=density).delta()
    expected = ties(updates, [0.5, 0.5], density=density)
    assert torch.allclose(merged, expected, atol=1e-12)


def test_without_conflict_and_trim_equal_coordinates_are_averaged(draw):
    one = draw(0)
    twice = LowRank(2 * one.A, one.B)
    merged = knots([one, twice], [1.0, 3.0], density=1.0)
    expected = mix([one, twice], [0.25, 0.75]).delta()
    assert torch.allclose(merged.delta(), expected, atol=1e-12)


def test_the_rank_is_that_of_the_updates_together(draw):
    updates = [draw(seed, d_out=20, d_in=30, rank=3) for seed in range(3)]
    assert knots(updates, [1.0] * 3).rank == 9
    wide = [draw(seed, d_out=4, d_in=30, rank=3) for seed in range(3)]
    assert knots(wide, [1.0] * 3).rank == 4


def test_a_rotation_of_the_outputs_turns_the_result_with_it(draw):
    # ties depends on the axes of the matrix, knots does not.
    updates = [draw(0), draw(1)]
    Q = torch.linalg.qr(draw(2, d_out=6, d_in=6, rank=6).delta())[0]
    turned = [LowRank(update.A, Q @ update.B) for update in updates]
    merged = knots(updates, [1.0, 2.0], density=0.4).delta()
    after = knots(turned, [1.0, 2.0], density=0.4).delta()
    assert torch.allclose(Q @ merged, after, atol=1e-10)
    plain = ties(updates, [1.0, 2.0], density=0.4)
    moved = ties(turned, [1.0, 2.0], density=0.4)
    assert not torch.allclose(Q @ plain, moved, atol=1e-3)
