"""Is one arm better than another, or is it chance? Row by row, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._errors import ConfigError

Rows = Mapping[str, Sequence[float]]
"""Task -> score of every test row."""

Numbers = NDArray[np.float64]

_BLOCK = 1000
"""Draws held in memory at a time."""


@dataclass(frozen=True)
class Difference:
    """How much one arm differs from another.

    Args:
        mean: Mean difference over seeds and tasks, in units of the metric.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def paired_difference(
    ours: Sequence[Rows], theirs: Sequence[Rows], *, draws: int = 10_000, seed: int = 0
) -> Difference:
    """Estimate the mean difference of two arms, with a paired bootstrap.

    Every draw takes test rows within each task with replacement, the same for all
    seeds, and seeds with replacement if there are several. With one seed the luck of
    training is not in the interval; with a handful, too little of it is.

    Args:
        ours: One item per seed.
        theirs: The same seeds, tasks and rows.
        draws: How many draws, >= 1. With two thousand, an end near zero changes its
            side with ``seed``.
        seed: Seed of the draws.

    Returns:
        ours - theirs, averaged over rows, then tasks, then seeds.

    Raises:
        ConfigError: Seeds, tasks or numbers of rows that are not the same.

    Source: the pigeonhole bootstrap, Owen 2007 (arXiv:0712.1111), section 3. All seeds
    score the same rows, so rows drawn anew per seed would make the interval too narrow.
    Luck that is tied neither to row nor to seed counts up to three times, which makes
    it too wide where there is little else.
    """
    gaps = stack_gaps([ours], theirs)
    drawn = draw_means(gaps, draws, np.random.default_rng(seed))
    low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
    mean = np.mean([task.mean() for task in gaps])
    return Difference(float(mean), float(low), float(high))


def stack_gaps(arms: Sequence[Sequence[Rows]], rival: Sequence[Rows]) -> list[Numbers]:
    """Subtract the scores of a rival from those of several arms.

    Args:
        arms: Per arm, one item per seed.
        rival: The same seeds, tasks and rows.

    Returns:
        Per task of the rival the differences, shape (arms, seeds, rows).

    Raises:
        ConfigError: Seeds, tasks or numbers of rows that are not the same.
    """
    first = _count_rows(rival[0])
    for runs in (rival, *arms):
        _check_rows(runs, first, len(rival))
    return [_stack(arms, task) - _stack([rival], task) for task in first]


def draw_means(
    gaps: Sequence[Numbers], draws: int, dice: np.random.Generator
) -> Numbers:
    """Draw rows and seeds with replacement, the same for all arms.

    Args:
        gaps: Per task, shape (arms, seeds, rows).
        draws: How many draws.
        dice: Source of chance.

    Returns:
        Means over rows, seeds and tasks, shape (draws, arms).
    """
    sizes = [min(_BLOCK, draws - done) for done in range(0, draws, _BLOCK)]
    return np.concatenate([_draw_block(gaps, size, dice) for size in sizes])


def _draw_block(
    gaps: Sequence[Numbers], draws: int, dice: np.random.Generator
) -> Numbers:
    arms, seeds, _ = gaps[0].shape
    picked = _count_drawn(seeds, draws, dice)
    total = np.zeros((draws, arms))
    for task in gaps:
        rows = task.shape[2]
        drawn = _count_drawn(rows, draws, dice)
        sums = np.einsum("ds,asr,dr->da", picked, task, drawn, optimize=True)
        total += sums / (seeds * rows)
    # What is zero on paper must not end up on one side of it by rounding.
    return np.round(total / len(gaps), 12)


def _check_rows(runs: Sequence[Rows], expected: dict[str, int], seeds: int) -> None:
    """Refuse runs that cannot be paired, by what a wrong pairing would look like."""
    if len(runs) != seeds:
        raise ConfigError(
            f"paired_difference: both arms must have the same seeds, {seeds} of them, "
            f"got {len(runs)}. Run the missing ones."
        )
    for place, one in enumerate(runs):
        if _count_rows(one) != expected:
            raise ConfigError(
                "paired_difference: all arms and seeds must score the same rows, "
                f"{expected}, got {_count_rows(one)} in run {place}. Score every run "
                "on all test rows; a seed may only change what is trained on."
            )


def _count_rows(rows: Rows) -> dict[str, int]:
    return {task: len(scores) for task, scores in rows.items()}


def _stack(arms: Sequence[Sequence[Rows]], task: str) -> Numbers:
    return np.array([[one[task] for one in runs] for runs in arms], dtype=np.float64)


def _count_drawn(count: int, draws: int, dice: np.random.Generator) -> Numbers:
    """Draw as many of ``count`` things as there are; return (draws, count) counts."""
    picks = dice.integers(count, size=(draws, count))
    picks += count * np.arange(draws)[:, None]
    found = np.bincount(picks.ravel(), minlength=draws * count)
    return found.reshape(draws, count).astype(np.float64)
