"""Is one arm better than another, or is it chance? Row by row, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Rows = Mapping[str, Sequence[float]]
"""Task -> score of every test row."""


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
    ours: Sequence[Rows], theirs: Sequence[Rows], *, draws: int = 2000, seed: int = 0
) -> Difference:
    """Estimate the mean difference of two arms, with a paired bootstrap.

    Every draw takes test rows within each task with replacement, and seeds with
    replacement if there are several. With one seed the luck of training is not in the
    interval.

    Args:
        ours: One item per seed.
        theirs: The same seeds, tasks and rows.
        draws: How many draws, >= 1.
        seed: Seed of the draws.

    Returns:
        ours - theirs, averaged over rows, then tasks, then seeds.
    """
    dice = np.random.default_rng(seed)
    pairs = list(zip(ours, theirs, strict=True))
    means = [_mean(a, b) for a, b in pairs]
    drawn = np.stack([_draw(a, b, draws, dice) for a, b in pairs], axis=1)
    picks = dice.integers(len(pairs), size=(draws, len(pairs)))
    low, high = np.quantile(
        np.take_along_axis(drawn, picks, axis=1).mean(axis=1), [0.025, 0.975]
    )
    return Difference(float(np.mean(means)), float(low), float(high))


def _mean(ours: Rows, theirs: Rows) -> float:
    gaps = [np.mean(ours[task]) - np.mean(theirs[task]) for task in ours]
    return float(np.mean(gaps))


def _draw(
    ours: Rows, theirs: Rows, draws: int, dice: np.random.Generator
) -> np.ndarray:
    """Return the mean over tasks of ``draws`` resampled differences, (draws,)."""
    total = np.zeros(draws)
    for task in ours:
        gaps = np.asarray(ours[task], float) - np.asarray(theirs[task], float)
        picks = dice.integers(len(gaps), size=(draws, len(gaps)))
        total += gaps[picks].mean(axis=1)
    return total / len(ours)
