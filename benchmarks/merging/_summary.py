"""From all scores to one table: per arm and row, and their paired difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

from benchmarks.intervals import mean_interval
from benchmarks.merging._measure import Measured
from cotune.analysis import (
    Connectivity,
    Line,
    LinePoint,
    MergedScore,
    Merging,
    Pruning,
    PruningPoint,
)

Scores = Mapping[str, Mapping[str, float]]
"""Row of the table -> task -> score, the mean over the seeds."""


def tabulate(found: Measured) -> dict[str, dict[str, float]]:
    """Return row -> task -> score of one arm."""
    tasks, merged = list(found.lines), list(found.merged.values())
    seeds = list(dict.fromkeys(seed for _, seed in found.pruned))
    rows: dict[str, dict[str, float]] = {
        "single": {t: fmean(found.pruned[t, s].whole for s in seeds) for t in tasks},
        "two seeds, 1:1": {t: found.lines[t].ratios["1:1"] for t in tasks},
        "two seeds, 1:2": {t: found.lines[t].ratios["1:2"] for t in tasks},
    }
    for place, point in enumerate(next(iter(found.pruned.values())).points):
        title = f"pruned: {point.operator} {point.setting}".strip()
        rows[title] = {
            t: fmean(found.pruned[t, s].points[place].score for s in seeds)
            for t in tasks
        }
    tables = [one.table() for one in merged]
    for title in tables[0]:
        if title != "own adapter":
            name = f"{len(tasks)} tasks: {title}"
            rows[name] = {
                t: fmean(table[title][t] for table in tables if title in table)
                for t in tasks
            }
    return rows


def compare_arms(arms: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Return the table: mean, worst task, and difference of the second arm's mean.

    The interval is Student's 95 % over the tasks, paired; the luck of two seeds is
    inside the tasks' means and not an interval of its own.

    Args:
        arms: Arm -> its scores.
    """
    (one, ours), (other, theirs) = arms.items()
    rows: list[dict[str, Any]] = []
    for title in ours:
        gaps = [theirs[title][task] - ours[title][task] for task in ours[title]]
        low, high = mean_interval(gaps)
        rows.append(
            {
                "row": title,
                **{arm: fmean(scores[title].values()) for arm, scores in arms.items()},
                **{
                    f"{arm}, worst task": min(scores[title].values())
                    for arm, scores in arms.items()
                },
                f"{other} - {one}": fmean(gaps),
                "low": low,
                "high": high,
            }
        )
    return rows


def mean_pruning(found: Measured) -> Pruning:
    """Average the pruning curves over tasks and seeds."""
    each = list(found.pruned.values())
    points = [
        PruningPoint(
            point.operator,
            point.setting,
            fmean(one.points[place].kept for one in each),
            fmean(one.points[place].score for one in each),
        )
        for place, point in enumerate(each[0].points)
    ]
    bases = [one.base for one in each if one.base is not None]
    return Pruning(fmean(one.whole for one in each), tuple(points), fmean(bases))


def mean_merging(found: Measured) -> Merging:
    """Average the scores of merged adapters over the seeds."""
    each = list(found.merged.values())
    first = each[0]
    tables = [one.table() for one in each]
    scores: list[MergedScore] = []
    for one in first.scores:
        title = f"{one.operator} {one.setting}".strip()
        found_there = [table[title][one.task] for table in tables if title in table]
        scores.append(replace(one, score=fmean(found_there)))
    errors = {title: fmean(one.errors[title] for one in each) for title in first.errors}
    return Merging(first.tasks, tuple(scores), errors)


def mean_connectivity(found: Measured) -> Connectivity:
    """Average the lines between two seeds over the tasks."""
    each = list(found.lines.values())
    first = each[0]
    points = tuple(
        LinePoint(one.curve, one.weights, fmean(c.points[place].score for c in each))
        for place, one in enumerate(first.points)
    )
    lines = [c.lines[0] for c in each]
    line = Line(
        one=lines[0].one,
        other=lines[0].other,
        ends=fmean(one.ends for one in lines),
        half=fmean(one.half for one in lines),
        barrier=fmean(one.barrier for one in lines),
        loss_barrier=None,
    )
    ratios = {name: fmean(c.ratios[name] for c in each) for name in first.ratios}
    return Connectivity(first.names, (line,), ratios, points)
