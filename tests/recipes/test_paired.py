import numpy as np
import pytest

from cotune.recipes._paired import paired_difference


def test_the_mean_is_over_rows_then_tasks_then_seeds() -> None:
    ours = [{"a": [1.0, 1.0, 1.0, 1.0], "b": [0.5]}, {"a": [0.0], "b": [0.0]}]
    theirs = [{"a": [0.0, 0.0, 1.0, 1.0], "b": [0.5]}, {"a": [0.0], "b": [1.0]}]
    # Seed one: (0.5 + 0) / 2; seed two: (0 - 1) / 2.
    assert paired_difference(ours, theirs).mean == pytest.approx((0.25 - 0.5) / 2)


def test_equal_arms_do_not_differ() -> None:
    rows = [{"a": [0.0, 1.0, 1.0]}]
    gap = paired_difference(rows, rows)
    assert (gap.mean, gap.low, gap.high) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_the_interval_is_that_of_the_normal_law_for_many_rows() -> None:
    dice = np.random.default_rng(0)
    gaps = dice.normal(0.1, 1.0, size=2000)
    gap = paired_difference([{"a": gaps.tolist()}], [{"a": [0.0] * 2000}])
    half = 1.96 * gaps.std() / 2000**0.5
    assert gap.low == pytest.approx(gaps.mean() - half, abs=0.1 * half)
    assert gap.high == pytest.approx(gaps.mean() + half, abs=0.1 * half)


def test_pairing_counts_not_the_spread_of_the_rows() -> None:
    rows = np.random.default_rng(0).normal(size=50)
    gap = paired_difference([{"a": (rows + 0.1).tolist()}], [{"a": rows.tolist()}])
    assert gap.low == pytest.approx(0.1)
    assert gap.high == pytest.approx(0.1)


def test_seeds_that_disagree_widen_the_interval() -> None:
    zero = {"a": [0.0] * 20}
    alike = paired_difference([{"a": [0.5] * 20}] * 4, [zero] * 4)
    apart = paired_difference([{"a": [x] * 20} for x in (2, -1, 2, -1)], [zero] * 4)
    assert alike.mean == apart.mean == 0.5
    assert (alike.low, alike.high) == (0.5, 0.5)
    assert apart.low < 0 < apart.high


def test_the_draws_are_repeated_exactly() -> None:
    ours, theirs = [{"a": [0.0, 1.0, 1.0]}], [{"a": [1.0, 0.0, 1.0]}]
    assert paired_difference(ours, theirs) == paired_difference(ours, theirs)
