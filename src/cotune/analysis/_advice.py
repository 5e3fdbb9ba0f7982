"""The advice which tasks to train together, with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from ._result import Result, Row

LEAST_AFFINITY = 0.1
"""Below this mean cosine a group is only what clustering left over."""


@dataclass(frozen=True)
class TaskGroup:
    """Tasks to train together.

    Args:
        tasks: Their names.
        within: Mean affinity between them; 1 for a task on its own.
        outside: Mean affinity with all other tasks; NaN if there are none.
        floor: Root mean square, over the tasks, of the part of an update (in [0, 1])
            that one shared pair A, B must miss, each task free in its core.
        reached: The same for a pair that is easily found: the leading subspaces.
    """

    tasks: tuple[str, ...]
    within: float
    outside: float
    floor: float
    reached: float


@dataclass(frozen=True)
class Affinity(Result):
    """Affinities of tasks, and the advice drawn from them.

    Args:
        tasks: Names.
        matrix: Cosine of the updates of every pair, over all layers.
        rank: Rank of the shared pair that the floors are for.
        groups: Which tasks go together.
        together: All tasks as one group, to compare with.
        silhouette: How clear the groups are, in [-1, 1]; 0 for a single group.
        source: What the updates are, in words.
    """

    tasks: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    rank: int
    groups: tuple[TaskGroup, ...]
    together: TaskGroup
    silhouette: float
    source: str
    name: ClassVar[str] = "affinity"

    def advice(self) -> list[str]:
        """Say in sentences what to train together and what apart, with the numbers."""
        lines = [self._say(group) for group in self.groups]
        apart = [(self._between(*pair), *pair) for pair in combinations(self.groups, 2)]
        lines += [
            f"Keep apart: {_join(one.tasks)} | {_join(other.tasks)} (mean affinity "
            f"{between:.2f})."
            for between, one, other in sorted(apart, key=lambda found: found[0])
        ]
        whole = self.together
        lines.append(
            f"All {len(self.tasks)} tasks on one pair of rank {self.rank} miss at "
            f"least {whole.floor:.0%} of an update."
        )
        return lines

    def summary(self) -> dict[str, Any]:
        """Return matrix, groups and advice."""
        return {
            "source": self.source,
            "tasks": self.tasks,
            "matrix": self.matrix,
            "rank": self.rank,
            "groups": [vars(group) for group in self.groups],
            "together": vars(self.together),
            "silhouette": self.silhouette,
            "advice": self.advice(),
        }

    def rows(self) -> list[Row]:
        """Return one row per pair of tasks."""
        label = {t: n for n, group in enumerate(self.groups) for t in group.tasks}
        return [
            {
                "one": self.tasks[i],
                "other": self.tasks[j],
                "affinity": self.matrix[i][j],
                "together": label[self.tasks[i]] == label[self.tasks[j]],
            }
            for i, j in combinations(range(len(self.tasks)), 2)
        ]

    def draw(self, axes: Any) -> None:
        """Draw the matrix, the tasks ordered by group."""
        from ._draw import draw_matrix

        order = [task for group in self.groups for task in group.tasks]
        places = [self.tasks.index(task) for task in order]
        matrix = [[self.matrix[i][j] for j in places] for i in places]
        draw_matrix(axes, order, matrix, low=-1.0, high=1.0)
        axes.set_title(f"affinity of tasks: {len(self.groups)} groups")

    def _say(self, group: TaskGroup) -> str:
        others = f"with the others {group.outside:.2f}"
        if len(group.tasks) == 1:
            return f"Train alone: {group.tasks[0]} (mean affinity {others})."
        others = f", {others}" if len(self.groups) > 1 else ""
        related = group.within >= LEAST_AFFINITY
        verdict = "Train together" if related else "No reason to train together"
        return (
            f"{verdict}: {_join(group.tasks)} (mean affinity {group.within:.2f}"
            f"{others}; a shared pair of rank {self.rank} misses at least "
            f"{group.floor:.0%} of an update)."
        )

    def _between(self, one: TaskGroup, other: TaskGroup) -> float:
        place = self.tasks.index
        found = [
            self.matrix[place(i)][place(j)] for i in one.tasks for j in other.tasks
        ]
        return float(np.mean(found))


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
