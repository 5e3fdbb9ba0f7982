"""The task advisor: which tasks to train together, and which to keep apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._adapter import Adapter, LowRank
from .._errors import ConfigError
from ._advice import Affinity, TaskGroup
from ._cache import Progress
from ._conflict import Gradients, check_gradients, cosines_of
from ._floor import joint_cores, shared_floor
from ._grouping import build_tree, choose_groups, cut_tree, silhouette
from ._layers import list_layers

Lookup = Callable[[str, str], LowRank]
"""Task, layer -> update."""


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
            "affinity: every task must have an update, got zero for "
            f"{', '.join(zero)}. Train it for some steps."
        )
    if rank < 1 or (groups is not None and not 1 <= groups <= len(tasks)):
        raise ConfigError(
            f"affinity: rank must be at least 1 and groups in [1, {len(tasks)}], got "
            f"{rank} and {groups}."
        )
