import numpy as np
import pytest

from cotune import ConfigError
from cotune.recipes._paired import draw_means, paired_difference


def test_the_mean_is_over_rows_then_tasks_then_seeds() -> None:
    ours = [{"a": [1.0, 1.0, 1.0, 1.0], "b": [0.5]}, {"a": [0.0] * 4, "b": [0.0]}]
    theirs = [{"a": [0.0, 0.0, 1.0, 1.0], "b": [0.5]}, {"a": [0.0] * 4, "b": [1.0]}]
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


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([{"a": [0.0]}], [{"a": [0.0]}] * 2, "same seeds, 2 of them, got 1"),
        ([{"a": [0.0]}], [{"a": [0.0, 1.0]}], "{'a': 2}, got {'a': 1} in run 0"),
        ([{"a": [0.0]}], [{"b": [0.0]}], "{'b': 1}, got {'a': 1} in run 0"),
        (
            [{"a": [0.0, 1.0]}] * 2,
            [{"a": [0.0, 1.0]}, {"a": [0.0]}],
            "{'a': 2}, got {'a': 1} in run 1",
        ),
    ],
)
def test_runs_on_other_rows_or_seeds_are_refused(ours, theirs, said) -> None:
    with pytest.raises(ConfigError, match=said):
        paired_difference(ours, theirs)


def test_a_drawn_row_is_drawn_for_all_seeds_and_arms() -> None:
    # Two seeds, and two arms, that err on opposite rows: drawn together, they add up.
    gap = np.array([[1.0, -1.0], [-1.0, 1.0]])
    drawn = draw_means([np.stack([gap, -gap])], 200, np.random.default_rng(0))
    assert np.array_equal(drawn[:, 0], -drawn[:, 1])
    assert set(drawn[:, 0]) == {-1.0, 0.0, 1.0}


def test_a_sum_that_is_zero_on_paper_is_zero() -> None:
    tasks = {"a": [1.0] * 7, "b": [-1.0] * 13, "c": [0.1] * 3, "d": [-0.1] * 11}
    rival = {task: [0.0] * len(rows) for task, rows in tasks.items()}
    gap = paired_difference([tasks] * 3, [rival] * 3)
    assert (gap.low, gap.high) == (0.0, 0.0)


WORLDS, SEEDS, DRAWS = 400, 5, 400
TOLERANCE = 0.025
"""More than two standard errors of a share of .95 of the worlds."""


def share_covered(interval, *, rows: int, tied: float, other: float) -> float:
    """Return in which share of worlds without a difference the interval holds zero.

    Args:
        interval: Gaps per task, (seeds, rows), and a generator -> low and high end.
        rows: Of each of the two tasks of a world.
        tied: Deviation of the error that a row has at every seed.
        other: Deviation of the error that is new for every seed and row.
    """
    covered = 0
    for world in range(WORLDS):
        dice = np.random.default_rng(world)
        gaps = [
            tied * dice.normal(size=rows) + other * dice.normal(size=(SEEDS, rows))
            for _ in range(2)
        ]
        low, high = interval(gaps, dice)
        covered += low <= 0 <= high
    return covered / WORLDS


def shared_rows(gaps, dice):
    """Return the interval of the package, through its front door."""
    ours = [
        {str(task): gap[seed].tolist() for task, gap in enumerate(gaps)}
        for seed in range(SEEDS)
    ]
    theirs = [{task: [0.0] * len(rows) for task, rows in ours[0].items()}] * SEEDS
    found = paired_difference(ours, theirs, draws=DRAWS, seed=int(dice.integers(2**31)))
    return found.low, found.high


def rows_per_seed(gaps, dice):
    """Return the interval where every seed draws rows of its own."""
    alone = [
        draw_means([gap[None, seed, None] for gap in gaps], DRAWS, dice)[:, 0]
        for seed in range(SEEDS)
    ]
    picks = dice.integers(SEEDS, size=(DRAWS, SEEDS))
    found = np.take_along_axis(np.stack(alone, axis=1), picks, axis=1)
    return np.quantile(found.mean(axis=1), [0.025, 0.975])


@pytest.mark.parametrize("other", [0.1, 0.3, 1.0])
def test_the_interval_covers_where_errors_are_tied_to_rows(other: float) -> None:
    share = share_covered(shared_rows, rows=40, tied=1.0, other=other)
    assert share == pytest.approx(0.95, abs=TOLERANCE)


def test_rows_drawn_anew_per_seed_would_cover_too_seldom() -> None:
    assert share_covered(rows_per_seed, rows=40, tied=1.0, other=0.3) < 0.85


def test_luck_that_is_tied_to_nothing_makes_the_interval_too_wide() -> None:
    assert share_covered(shared_rows, rows=40, tied=0.0, other=1.0) > 0.975


def test_five_numbers_alone_cover_too_seldom() -> None:
    # What is measured once per run has seeds only to draw from: say so, do not hide it.
    share = share_covered(shared_rows, rows=1, tied=0.0, other=1.0)
    assert 0.78 < share < 0.9
