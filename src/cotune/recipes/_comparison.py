"""What a comparison found: every run, and per arm the run that was chosen."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from .._files import write_text
from ._paired import Difference, Rows, paired_difference


@dataclass(frozen=True)
class Cell:
    """One training run of a comparison.

    Args:
        arm: Name of the arm.
        learning_rate: Of this run.
        seed: Of this run.
        validation: Mean score over the tasks on validation rows.
        parameters: Numbers trained, over all adapters of the arm.
        seconds: Wall time of training.
        folder: Where the run lies.
        rows: Task -> score of every test row; empty unless the run was chosen.
    """

    arm: str
    learning_rate: float
    seed: int
    validation: float
    parameters: int
    seconds: float
    folder: str
    rows: Rows = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, float]:
        """Return task -> score on test rows."""
        return {task: fmean(rows) for task, rows in self.rows.items()}

    @property
    def mean(self) -> float:
        """Return the mean test score over the tasks."""
        return fmean(self.scores.values())


@dataclass(frozen=True)
class Comparison:
    """All runs of a comparison.

    Args:
        cells: In the order they were run; the chosen ones with test rows.
        base: Task -> score of every test row, of the untouched base model.
        metric: Name of the metric; several joined with ``+``.
        higher_is_better: Its direction.
        folder: Where everything lies.
    """

    cells: tuple[Cell, ...]
    base: Rows
    metric: str
    higher_is_better: bool
    folder: Path

    def chosen(self, arm: str, seed: int) -> Cell:
        """Return the run of an arm whose learning rate did best on validation rows.

        Args:
            arm: Name of the arm.
            seed: Which seed.

        Returns:
            The run; of equally good ones that with the lowest rate.
        """
        cells = [c for c in self.cells if c.arm == arm and c.seed == seed]
        return choose(cells, higher_is_better=self.higher_is_better)

    def arms(self) -> list[str]:
        """Return the names of the arms."""
        return list(dict.fromkeys(cell.arm for cell in self.cells))

    def seeds(self) -> list[int]:
        """Return the seeds."""
        return list(dict.fromkeys(cell.seed for cell in self.cells))

    def learning_rates(self) -> list[float]:
        """Return the grid, lowest first."""
        return sorted({cell.learning_rate for cell in self.cells})

    def tasks(self) -> list[str]:
        """Return the names of the tasks."""
        return list(self.base)

    def means(self, arm: str) -> list[float]:
        """Return the mean test score of an arm, one number per seed."""
        return [self.chosen(arm, seed).mean for seed in self.seeds()]

    def task_means(self, arm: str) -> dict[str, float]:
        """Return task -> test score of an arm, averaged over the seeds."""
        runs = [self.chosen(arm, seed).scores for seed in self.seeds()]
        return {task: fmean(run[task] for run in runs) for task in self.tasks()}

    def base_means(self) -> dict[str, float]:
        """Return task -> test score of the untouched base model."""
        return {task: fmean(rows) for task, rows in self.base.items()}

    def ranking(self) -> list[str]:
        """Return the names of the arms, the best mean first."""
        sign = -1 if self.higher_is_better else 1
        return sorted(self.arms(), key=lambda arm: sign * fmean(self.means(arm)))

    def difference(self, arm: str, other: str) -> Difference:
        """Return by how much an arm scores higher than another, with an interval."""
        ours, theirs = (
            [self.chosen(name, seed).rows for seed in self.seeds()]
            for name in (arm, other)
        )
        return paired_difference(ours, theirs)

    def rivals(self) -> list[str]:
        """Return the arms that cannot be told from the best one, by its interval."""
        best, *others = self.ranking()
        gaps = {other: self.difference(best, other) for other in others}
        return [other for other, gap in gaps.items() if gap.low <= 0 <= gap.high]

    def is_at_edge(self, cell: Cell) -> bool:
        """Return whether a run has the lowest or highest rate of a grid of several."""
        grid = self.learning_rates()
        return len(grid) > 1 and cell.learning_rate in (grid[0], grid[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return everything but single rows, as JSON can hold it."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "learning_rates": self.learning_rates(),
            "seeds": self.seeds(),
            "base": self.base_means(),
            "arms": {arm: self._describe(arm) for arm in self.arms()},
            "ranking": self.ranking(),
            "not_told_from_the_best": self.rivals(),
            "cells": [_as_dict(replace(cell, rows={})) for cell in self.cells],
            "versions": {n: version(n) for n in ("cotune", "torch", "transformers")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }

    def save(self, path: Path) -> None:
        """Write ``comparison.json``, in one move.

        Args:
            path: The file.
        """
        write_text(path, json.dumps(self.as_dict(), indent=2) + "\n")

    def _describe(self, arm: str) -> dict[str, Any]:
        scores = self.task_means(arm)
        worst = min if self.higher_is_better else max
        return {
            "mean": fmean(scores.values()),
            "worst": worst(scores.values()),
            "spread": pstdev(scores.values()),
            "tasks": scores,
            "chosen": [_as_dict(self.chosen(arm, seed)) for seed in self.seeds()],
        }


def choose(cells: Sequence[Cell], *, higher_is_better: bool) -> Cell:
    """Choose the run with the best validation score.

    Args:
        cells: Runs of one arm and seed, at least one.
        higher_is_better: Direction of the metric.

    Returns:
        The best run; of equally good ones that with the lowest learning rate.
    """
    sign = 1 if higher_is_better else -1
    return max(cells, key=lambda c: (sign * c.validation, -c.learning_rate))


def _as_dict(cell: Cell) -> Mapping[str, Any]:
    names = ("arm", "learning_rate", "seed", "validation", "parameters", "seconds")
    found = {name: getattr(cell, name) for name in (*names, "folder")}
    return {**found, "scores": cell.scores} if cell.rows else found
