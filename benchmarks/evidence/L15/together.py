"""Intervals for several arms against one: the best of many must not win by luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cotune.recipes import Difference

Rows = Mapping[str, Sequence[float]]
"""Task -> score of every test row."""

Numbers = NDArray[np.float64]


def joint_differences(
    ours: Mapping[str, Sequence[Rows]],
    theirs: Sequence[Rows],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare arms with one rival; all intervals hold at once in 95 % of the cases.

    Every draw takes test rows and seeds with replacement, the same for all arms. Each
    interval is as many standard errors wide as the largest deviation among the arms
    has in 95 % of the draws.

    Args:
        ours: Arm -> one item per seed.
        theirs: The rival: the same seeds, tasks and rows.
        draws: How many draws.
        seed: Seed of the draws.

    Returns:
        Arm -> ours - theirs, averaged over rows, then tasks, then seeds.

    Source: the studentised maximum (single-step maxT), Westfall and Young 1993. Differs
    from ``paired_difference``: a row that is drawn is drawn for all seeds, since they
    all score the same rows; that makes an interval wider.
    """
    gaps = [_gaps(own, theirs) for own in ours.values()]
    means = np.array([np.mean([task.mean() for task in own]) for own in gaps])
    drawn = _draw(gaps, draws, np.random.default_rng(seed))
    spread = drawn.std(axis=0)
    away = np.abs(drawn - means)
    # An arm that equals the rival row by row has no spread, and stays at zero.
    scaled = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)
    half = np.quantile(scaled.max(axis=1), 0.95) * spread
    return {
        name: Difference(float(mean), float(mean - width), float(mean + width))
        for name, mean, width in zip(ours, means, half, strict=True)
    }


def _gaps(ours: Sequence[Rows], theirs: Sequence[Rows]) -> list[Numbers]:
    """Return, per task, the differences, shape (seeds, rows)."""
    return [
        np.array(
            [
                np.subtract(one[task], other[task])
                for one, other in zip(ours, theirs, strict=True)
            ],
            dtype=np.float64,
        )
        for task in theirs[0]
    ]


def _draw(
    gaps: Sequence[Sequence[Numbers]], draws: int, dice: np.random.Generator
) -> Numbers:
    """Return resampled means, shape (draws, arms)."""
    seeds = len(gaps[0][0])
    found = np.empty((draws, len(gaps)))
    for place in range(draws):
        picked = dice.integers(seeds, size=seeds)
        total = np.zeros(len(gaps))
        for task, first in enumerate(gaps[0]):
            rows = dice.integers(first.shape[1], size=first.shape[1])
            total += [own[task][picked][:, rows].mean() for own in gaps]
        found[place] = total / len(gaps[0])
    return found
