"""Groups of tasks from their affinities: hierarchical clustering by SciPy."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

LEAST_SILHOUETTE = 0.05
"""Below this mean silhouette the tasks have no groups worth the name."""


def build_tree(affinity: Matrix) -> Matrix:
    """Join tasks, nearest first, by average linkage of 1 - affinity.

    Args:
        affinity: Symmetric, shape (n, n), n >= 2, in [-1, 1].

    Returns:
        SciPy's linkage matrix, shape (n - 1, 4).
    """
    # SciPy ships no types.
    from scipy.cluster import (  # pyright: ignore[reportMissingTypeStubs]
        hierarchy,  # pyright: ignore[reportUnknownVariableType]
    )

    upper = np.triu_indices(len(affinity), 1)
    return cast("Any", hierarchy).linkage(1 - affinity[upper], method="average")


def cut_tree(tree: Matrix, groups: int) -> list[int]:
    """Cut a tree into a number of groups.

    Args:
        tree: Of :func:`build_tree`.
        groups: How many, in [1, n].

    Returns:
        Group of every task, from 0, in the order in which they appear.
    """
    count = len(tree) + 1
    members: dict[int, list[int]] = {place: [place] for place in range(count)}
    # The tree is sorted by distance: undoing its last joins leaves the groups. (SciPy's
    # fcluster may return fewer groups where distances are equal.)
    for step, join in enumerate(tree[: count - groups]):
        members[count + step] = members.pop(int(join[0])) + members.pop(int(join[1]))
    group = {place: min(own) for own in members.values() for place in own}
    order = sorted(set(group.values()))
    return [order.index(group[place]) for place in range(count)]


def choose_groups(affinity: Matrix, tree: Matrix) -> tuple[list[int], float]:
    """Cut where the mean silhouette is largest; one group if it is small everywhere.

    Args:
        affinity: As in :func:`build_tree`.
        tree: Its tree.

    Returns:
        Group of every task, and the silhouette; 0 for a single group.
    """
    cuts = [cut_tree(tree, groups) for groups in range(2, len(affinity))]
    scored = [(silhouette(1 - affinity, labels), labels) for labels in cuts]
    one: tuple[float, list[int]] = (LEAST_SILHOUETTE, [])
    best, labels = max([one, *scored], key=lambda pair: pair[0])
    return (labels, best) if labels else ([0] * len(affinity), 0.0)


def silhouette(distance: Matrix, labels: list[int]) -> float:
    """Return the mean silhouette: (b - a) / max(a, b), 0 for a task on its own.

    a is the mean distance to the others of the own group, b that to the nearest other
    group.

    Args:
        distance: Symmetric, shape (n, n).
        labels: Group of every task.

    Returns:
        In [-1, 1]; 0 for a single group.

    Source: Rousseeuw 1987.
    """
    label = np.array(labels)
    groups = sorted(set(labels))
    if len(groups) < 2:
        return 0.0
    scores: list[float] = []
    for place, own in enumerate(labels):
        mates = (label == own) & (np.arange(len(label)) != place)
        if not mates.any():
            scores.append(0.0)
            continue
        a = float(distance[place, mates].mean())
        others = [g for g in groups if g != own]
        b = min(float(distance[place, label == g].mean()) for g in others)
        scores.append((b - a) / max(a, b, 1e-300))
    return float(np.mean(scores))
