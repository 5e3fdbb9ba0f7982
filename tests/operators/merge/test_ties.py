import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.merge._ties import average_agreeing, ties


def matrix(rows):
    """Write a dense 2 x 2 update as factors: B is the identity."""
    return LowRank(torch.tensor(rows), torch.eye(2))


ONE = [[4.0, -3.0], [0.5, 2.0]]
TWO = [[2.0, 5.0], [-6.0, 0.1]]


def test_without_trim_a_2x2_case_by_hand():
    # Sums: 6, 2, -5.5, 2.1. Agreeing: both; 5; -6; both.
    merged = ties([matrix(ONE), matrix(TWO)], [0.5, 0.5], density=1.0)
    assert torch.allclose(merged, torch.tensor([[3.0, 5.0], [-6.0, 1.05]]))


def test_with_half_the_entries_a_2x2_case_by_hand():
    # Kept: 4, -3 of the first; 5, -6 of the second. Sums: 4, 2, -6, 0.
    merged = ties([matrix(ONE), matrix(TWO)], [0.5, 0.5], density=0.5)
    assert torch.equal(merged, torch.tensor([[4.0, 5.0], [-6.0, 0.0]]))


def test_the_vote_and_the_mean_are_weighted():
    # Weighted sums at density 1: 3.5, -1, -1.125, 1.525.
    merged = ties([matrix(ONE), matrix(TWO)], [3.0, 1.0], density=1.0)
    expected = torch.tensor([[3.5, -3.0], [-6.0, (3 * 2 + 0.1) / 4]])
    assert torch.allclose(merged, expected)


def test_only_the_ratio_of_the_weights_counts(draw):
    updates = [draw(0), draw(1)]
    small = ties(updates, [0.1, 0.3])
    assert torch.allclose(small, ties(updates, [10.0, 30.0]), atol=1e-12)


def test_a_negative_weight_turns_its_update_round(draw):
    one, two = draw(0), draw(1)
    turned = LowRank(two.A, -two.B)
    assert torch.equal(ties([one, two], [1.0, -2.0]), ties([one, turned], [1.0, 2.0]))


def test_votes_that_cancel_give_zero():
    merged = ties([matrix(ONE), matrix(ONE)], [1.0, -1.0], density=1.0)
    assert not merged.any()


def test_density_zero_gives_zero_and_a_small_density_keeps_one_entry(draw):
    update = draw(0)
    assert not ties([update], [1.0], density=0.0).any()
    assert int(ties([update], [1.0], density=1e-6).count_nonzero()) == 1


def test_a_zero_entry_does_not_pull_the_mean_down():
    two = matrix([[2.0, 0.0], [0.0, 0.0]])
    merged = ties([matrix(ONE), two, two], [1.0, 1.0, 1.0], density=1.0)
    assert torch.allclose(merged, torch.tensor([[8 / 3, -3.0], [0.5, 2.0]]))


def test_the_scale_multiplies_the_result(draw):
    updates = [draw(0), draw(1)]
    assert torch.allclose(
        ties(updates, [1.0, 1.0], scale=0.3), 0.3 * ties(updates, [1.0, 1.0])
    )


@pytest.mark.parametrize("density", [-0.1, 1.1, float("nan")])
def test_a_density_outside_its_range_is_refused(draw, density):
    with pytest.raises(ConfigError, match=r"ties: density must be in \[0, 1\]"):
        ties([draw(0)], [1.0], density=density)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(
        st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=4
    ),
    weights=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_the_mean_of_the_agreeing_is_the_formula_entry_by_entry(rows, weights):
    values = [torch.tensor([row], dtype=torch.float64) for row in rows]
    given_weights = [float(w) for w in weights[: len(rows)]]
    merged = average_agreeing(values, given_weights)
    for column in range(4):
        entries = [row[column] for row in rows]
        pairs = list(zip(entries, given_weights, strict=True))
        vote = sum(w * v for v, w in pairs)
        mine = [(v, w) for v, w in pairs if v * vote > 0]
        mass = sum(w for _, w in mine)
        expected = sum(w * v for v, w in mine) / mass if mass else 0
        assert float(merged[0, column]) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), density=st.floats(0, 1))
def test_merging_the_negated_updates_negates_the_result(seed, density):
    source = torch.Generator().manual_seed(seed)
    updates = [
        LowRank(
            torch.randn(2, 3, generator=source), torch.randn(4, 2, generator=source)
        )
        for _ in range(3)
    ]
    turned = [LowRank(update.A, -update.B) for update in updates]
    merged = ties(updates, [1.0, 2.0, 3.0], density=density)
    assert torch.equal(merged, -ties(turned, [1.0, 2.0, 3.0], density=density))
