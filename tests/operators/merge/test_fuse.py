import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import LowRank
from cotune.operators.merge._fuse import fuse
from cotune.operators.merge._mix import mix


def test_two_adapters_by_hand():
    one = LowRank(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0], [0.0]]))
    two = LowRank(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0], [4.0]]))
    fused = fuse([one, two], [0.5, 0.5])
    assert torch.equal(fused.A, torch.tensor([[0.5, 0.5]]))
    assert torch.equal(fused.B, torch.tensor([[1.0], [2.0]]))


@settings(deadline=None, max_examples=40)
@given(
    w=st.floats(-2, 3),
    ranks=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 999),
)
def test_fuse_minus_mix_is_the_product_of_the_differences(w, ranks, seed):
    source = torch.Generator().manual_seed(seed)
    one, two = (
        LowRank(
            torch.randn(rank, 5, generator=source, dtype=torch.float64),
            torch.randn(4, rank, generator=source, dtype=torch.float64),
        )
        for rank in ranks
    )
    gap = fuse([one, two], [w, 1 - w]).delta() - mix([one, two], [w, 1 - w]).delta()
    rank = max(ranks)
    A = torch.zeros(rank, 5, dtype=torch.float64)
    B = torch.zeros(4, rank, dtype=torch.float64)
    A[: ranks[0]] += one.A
    A[: ranks[1]] -= two.A
    B[:, : ranks[0]] += one.B
    B[:, : ranks[1]] -= two.B
    assert torch.allclose(gap, -w * (1 - w) * B @ A, atol=1e-10)


def test_smaller_ranks_are_padded_with_zeros(draw):
    small, large = draw(0, rank=1), draw(1, rank=3)
    fused = fuse([small, large], [0.5, 0.5])
    assert fused.rank == 3
    assert torch.allclose(fused.A[1:], 0.5 * large.A[1:])
    assert torch.allclose(fused.A[:1], 0.5 * (small.A + large.A[:1]))


def test_the_weights_are_used_as_they_are(draw):
    update = draw(2)
    assert torch.allclose(fuse([update], [3.0]).delta(), 9 * update.delta())
    assert pytest.approx(1.0) == float(
        fuse([update], [3.0]).B.norm() / (3 * update.B.norm())
    )
