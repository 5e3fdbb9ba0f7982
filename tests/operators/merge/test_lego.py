import math

import pytest
import torch

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.merge._lego import lego


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_identical_adapters_give_the_same_units(draw):
    update = draw(0, rank=3)
    merged = lego([update] * 5, [0.2] * 5, generator=seeded())
    assert torch.allclose(merged.A, update.A, atol=1e-12)
    assert torch.allclose(merged.B, update.B, atol=1e-12)


def test_a_permutation_of_the_units_is_undone(draw):
    update = draw(1, rank=4)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = LowRank(update.A[order], update.B[:, order])
    merged = lego([update, shuffled], [0.5, 0.5], generator=seeded())
    assert torch.allclose(merged.delta(), update.delta(), atol=1e-12)


def test_centroids_are_stretched_to_the_mean_norm_by_hand():
    # Units (a, b) of 2 + 2 numbers: (3, 0, 0, 4) and (0, 3, 4, 0), both of norm 5.
    one = LowRank(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0], [4.0]]))
    two = LowRank(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0], [0.0]]))
    plain = lego([one, two], [1.0, 1.0], reweight_parameters=False, generator=seeded())
    assert torch.allclose(plain.A, torch.tensor([[1.5, 1.5]]))
    assert torch.allclose(plain.B, torch.tensor([[2.0], [2.0]]))
    # The mean has norm sqrt(12.5); it is stretched to 5, by sqrt(2).
    stretched = lego([one, two], [1.0, 1.0], generator=seeded())
    assert torch.allclose(stretched.A, math.sqrt(2) * plain.A)
    assert torch.allclose(stretched.B, math.sqrt(2) * plain.B)


def test_the_centroid_is_the_weighted_mean():
    one = LowRank(torch.tensor([[1.0]]), torch.tensor([[1.0]]))
    two = LowRank(torch.tensor([[5.0]]), torch.tensor([[3.0]]))
    merged = lego([one, two], [3.0, 1.0], reweight_parameters=False, generator=seeded())
    assert torch.allclose(merged.A, torch.tensor([[2.0]]))
    assert torch.allclose(merged.B, torch.tensor([[1.5]]))


@pytest.mark.parametrize("rank", [1, 2, 8])
def test_the_output_is_scaled_by_the_root_of_the_ranks(draw, rank):
    updates, weights = [draw(0, rank=4), draw(1, rank=2)], [0.5, 0.5]
    options = {"rank": rank, "generator": seeded()}
    plain = lego(updates, weights, reweight_output=False, rank=rank, generator=seeded())
    scaled = lego(updates, weights, **options)
    assert scaled.rank == rank
    assert torch.allclose(scaled.B, math.sqrt(3 / rank) * plain.B)
    assert torch.equal(scaled.A, plain.A)


def test_as_many_clusters_as_units_keep_them_all(draw):
    updates = [draw(0, rank=2), draw(1, rank=2)]
    merged = lego(
        updates, [1.0, 1.0], rank=4, reweight_output=False, generator=seeded()
    )
    expected = updates[0].delta() + updates[1].delta()
    assert torch.allclose(merged.delta(), expected, atol=1e-12)


def test_units_that_add_nothing_are_left_out(draw):
    update = draw(2, rank=2)
    padded = LowRank(
        torch.cat([update.A, torch.ones(1, 5, dtype=torch.float64)]),
        torch.cat([update.B, torch.zeros(6, 1, dtype=torch.float64)], dim=1),
    )
    merged = lego([padded, padded], [0.5, 0.5], generator=seeded())
    assert merged.rank == 3
    assert torch.allclose(merged.delta(), update.delta(), atol=1e-12)


def test_balanced_units_do_not_depend_on_the_split_of_their_size(draw):
    updates = [draw(0, rank=3), draw(1, rank=3), draw(2, rank=3)]
    sizes = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
    other = [LowRank(u.A * sizes[:, None], u.B / sizes) for u in updates]
    weights = [1.0, 1.0, 1.0]
    first = lego(updates, weights, balance=True, generator=seeded())
    second = lego(other, weights, balance=True, generator=seeded())
    assert torch.allclose(first.delta(), second.delta(), atol=1e-10)
    third = lego(other, weights, generator=seeded())
    assert not torch.allclose(first.delta(), third.delta(), atol=1e-3)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]])
def test_weights_that_are_negative_or_all_zero_are_refused(draw, weights):
    with pytest.raises(ConfigError, match="lego: weights must be at least 0"):
        lego([draw(0), draw(1)], weights, generator=seeded())


@pytest.mark.parametrize("options", [{"rank": 0}, {"restarts": 0}])
def test_rank_and_restarts_below_one_are_refused(draw, options):
    with pytest.raises(ConfigError, match="rank and restarts must be at least 1"):
        lego([draw(0)], [1.0], generator=seeded(), **options)
