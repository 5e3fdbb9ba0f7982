"""Intervals for several arms against one: the best of many must not win by luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cotune.recipes import Difference
from cotune.recipes._paired import Rows, draw_means, stack_gaps


def joint_differences(
    ours: Mapping[str, Sequence[Rows]],
    theirs: Sequence[Rows],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare arms with one rival; all intervals hold at once in 95 % of the cases.

    Every draw takes test rows and seeds as ``paired_difference`` does, the same for all
    arms. Each interval is as many standard errors wide as the largest deviation among
    the arms has in 95 % of the draws.

    Args:
        ours: Arm -> one item per seed.
        theirs: The rival: the same seeds, tasks and rows.
        draws: How many draws.
        seed: Seed of the draws.

    Returns:
        Arm -> ours - theirs, averaged over rows, then tasks, then seeds.

    Raises:
        ConfigError: Seeds, tasks or numbers of rows that are not the same.

    Source: the studentised maximum (single-step maxT), Westfall and Young 1993.
    """
    gaps = stack_gaps(list(ours.values()), theirs)
    means = np.mean([task.mean(axis=(1, 2)) for task in gaps], axis=0)
    drawn = draw_means(gaps, draws, np.random.default_rng(seed))
    spread = drawn.std(axis=0)
    away = np.abs(drawn - means)
    # An arm that equals the rival row by row has no spread, and stays at zero.
    scaled = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)
    half = np.quantile(scaled.max(axis=1), 0.95) * spread
    return {
        name: Difference(float(mean), float(mean - width), float(mean + width))
        for name, mean, width in zip(ours, means, half, strict=True)
    }
