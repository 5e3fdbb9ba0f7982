"""The task advisor: which tasks to train together, and which to keep apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._adapter import Adapter, LowRank
from .._errors import ConfigError
from ._cache import Progress
from ._conflict import Gradients, check_gradients, cosines_of
from ._floor import joint_cores, shared_floor
from ._grouping import build_tree, choose_groups, cut_tree
from ._layers import list_layers
from ._result import Result, Row

Lookup = Callable[[str, str], LowRank]
"""Task, layer -> update."""

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


def affinity(
    adapters: Mapping[str, Adapter],
    *,
    rank: int | None = None,
    groups: int | None = None,
    progress: Progress | None = None,
) -> Affinity:
    """Advise on tasks from short runs, one adapter per task, from one start.

    The affinity of two tasks is the cosine of their updates over all layers. Tasks are
    joined by average linkage, and cut where the mean silhouette is largest.

    Args:
        adapters: Task -> its adapter, with the same layers. They should start from one
            seed and be trained alike, and for a short time: later the updates go apart
            whatever the tasks (arXiv:2509.25414).
        rank: Rank of the shared pair for the floors; None takes the largest rank given.
        groups: How many groups; None chooses.
        progress: Told after every layer; all layers are read twice.

    Returns:
        The affinities and the advice.

    Raises:
        ConfigError: Fewer than two tasks, layers that differ, an update that is zero,
            or settings out of range.

    Source: task affinity grouping as in arXiv:2109.04617. Differs: updates of short
    runs instead of look-ahead losses; floors of ``theory.md``.
    """
    layers = list_layers("affinity", adapters)

    def look_up(task: str, layer: str) -> LowRank:
        return adapters[task].update(layer)

    ways = "updates", progress
    return _advise(tuple(adapters), layers, look_up, rank, groups, *ways)


def affinity_from_gradients(
    gradients: Gradients, *, rank: int | None = None, groups: int | None = None
) -> Affinity:
    """Advise on tasks from their gradients on one shared factor, without training.

    At the start B = 0, so A has no gradient and that of B is the whole story. The
    floors then speak of the column space only.

    Args:
        gradients: Task -> layer -> gradient, shape (d_out, r), all at one start; the
            mean over many rows.
        rank: As in :func:`affinity`; None takes the width r of the gradients.
        groups: As in :func:`affinity`.

    Returns:
        The affinities and the advice.

    Raises:
        ConfigError: As :func:`affinity`.
    """
    check_gradients("affinity_from_gradients", gradients)
    first = next(iter(gradients.values()))
    width = min(tensor.shape[1] for tensor in first.values())

    def look_up(task: str, layer: str) -> LowRank:
        gradient = gradients[task][layer].detach()
        r, place = gradient.shape[1], gradient.device
        same = torch.eye(r, dtype=gradient.dtype, device=place)
        return LowRank(same, gradient)

    rank = width if rank is None else rank
    return _advise(tuple(gradients), list(first), look_up, rank, groups, "gradients")


def _advise(
    tasks: tuple[str, ...],
    layers: Sequence[str],
    look_up: Lookup,
    rank: int | None,
    groups: int | None,
    source: str,
    progress: Progress | None = None,
) -> Affinity:
    tell = _count_up(progress, 2 * len(layers))
    gram, widest = _gram(tasks, layers, look_up, tell)
    rank = widest if rank is None else rank
    _check(tasks, gram, rank, groups)
    matrix: NDArray[np.float64] = cosines_of(gram).numpy()
    tree = build_tree(matrix)
    if groups is None:
        labels, clear = choose_groups(matrix, tree)
    else:
        from ._grouping import silhouette

        labels = cut_tree(tree, groups)
        clear = silhouette(1 - matrix, labels)
    everybody = list(range(len(tasks)))
    sets = [[i for i in everybody if labels[i] == g] for g in sorted(set(labels))]
    floors = _floors(tasks, layers, look_up, gram, [*sets, everybody], rank, tell)
    found = [
        _group(tasks, matrix, members, floor)
        for members, floor in zip([*sets, everybody], floors, strict=True)
    ]
    rows = tuple(tuple(float(cell) for cell in row) for row in matrix)
    return Affinity(tasks, rows, rank, tuple(found[:-1]), found[-1], clear, source)


def _gram(
    tasks: Sequence[str],
    layers: Sequence[str],
    look_up: Lookup,
    tell: Callable[[], None],
) -> tuple[Tensor, int]:
    """Return inner products of all updates over all layers, and the largest rank."""
    grams: list[Tensor] = []
    widest = 0
    for layer in layers:
        updates = [look_up(task, layer) for task in tasks]
        rows = torch.stack([core.flatten() for core in joint_cores(updates)])
        grams.append(rows @ rows.T)
        widest = max(widest, *(update.rank for update in updates))
        tell()
    return torch.stack(grams).sum(0).cpu(), widest


def _floors(
    tasks: Sequence[str],
    layers: Sequence[str],
    look_up: Lookup,
    gram: Tensor,
    sets: Sequence[Sequence[int]],
    rank: int,
    tell: Callable[[], None],
) -> list[tuple[float, float]]:
    """Return floor and what is reached, per set of tasks, all tasks counting alike."""
    lengths = gram.diagonal().sqrt()
    least, reached = [0.0] * len(sets), [0.0] * len(sets)
    for layer in layers:
        cores = joint_cores([look_up(task, layer) for task in tasks])
        cores = [core / length for core, length in zip(cores, lengths, strict=True)]
        for place, members in enumerate(sets):
            floor = shared_floor([cores[member] for member in members], rank)
            least[place] += floor.least / len(members)
            reached[place] += floor.reached / len(members)
        tell()
    return [(a**0.5, b**0.5) for a, b in zip(least, reached, strict=True)]


def _count_up(progress: Progress | None, total: int) -> Callable[[], None]:
    numbers = iter(range(1, total + 1))

    def tell() -> None:
        if progress is not None:
            progress(next(numbers), total)

    return tell


def _group(
    tasks: Sequence[str],
    matrix: NDArray[np.float64],
    members: Sequence[int],
    floor: tuple[float, float],
) -> TaskGroup:
    others = [place for place in range(len(tasks)) if place not in members]
    pairs = [matrix[i, j] for i, j in combinations(members, 2)]
    return TaskGroup(
        tasks=tuple(tasks[member] for member in members),
        within=float(np.mean(pairs)) if pairs else 1.0,
        outside=float(matrix[np.ix_(members, others)].mean()) if others else np.nan,
        floor=floor[0],
        reached=floor[1],
    )


def _check(tasks: Sequence[str], gram: Tensor, rank: int, groups: int | None) -> None:
    zero = [task for task, own in zip(tasks, gram.diagonal(), strict=True) if own <= 0]
    if zero:
        raise ConfigError(
            f"affinity: every task must have an update, got zero for {_join(zero)}. "
            "Train it for some steps."
        )
    if rank < 1 or (groups is not None and not 1 <= groups <= len(tasks)):
        raise ConfigError(
            f"affinity: rank must be at least 1 and groups in [1, {len(tasks)}], got "
            f"{rank} and {groups}."
        )


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
