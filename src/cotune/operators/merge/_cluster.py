"""Weighted k-means for a few long vectors."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..convert._linalg import qr, row_norms

SAME = 1e-12
"""Points nearer than this share of the largest norm count as equal."""


def cluster(
    points: Float[Tensor, "n d"],
    weights: Float[Tensor, " n"],
    k: int,
    *,
    restarts: int,
    generator: torch.Generator,
    iterations: int = 100,
) -> Int[Tensor, " n"]:
    """Split points into at most k clusters by k-means with k-means++ starts.

    The n points are first written in an orthonormal basis of their span: the distances
    stay the same, and the work no longer depends on d. Runs in fp64 on the device of
    the generator, so equal seeds give equal clusters wherever the points lie.

    Args:
        points: One per row.
        weights: Positive, one per point.
        k: Largest number of clusters; fewer if there are fewer distinct points.
        restarts: How many starts to try, at least 1.
        generator: Draws the starts.
        iterations: Upper limit of the rounds of one start.

    Returns:
        A label per point, from 0 without gaps, in the order of first appearance.
    """
    if len(points) == 0:
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    place = generator.device
    flat = qr(points.to(place, torch.float64).T)[1].T.contiguous()
    share = weights.to(place, torch.float64)
    best, labels = torch.inf, torch.zeros(len(flat), dtype=torch.int64, device=place)
    for _ in range(restarts):
        found, spread = _one_start(flat, share, k, iterations, generator)
        if spread < best:
            best, labels = spread, found
    return _by_appearance(labels).to(points.device)


def _one_start(
    points: Tensor, weights: Tensor, k: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    centres = _spread_out(points, weights, k, generator)
    labels = _squared_distances(points, centres).argmin(dim=1)
    for _ in range(iterations):
        member = torch.nn.functional.one_hot(labels, len(centres)).to(points)
        mass = member.T @ weights
        sums = member.T @ (weights[:, None] * points)
        # A cluster that lost all its points keeps its centre.
        alive = mass > 0
        centres = centres.clone()
        centres[alive] = sums[alive] / mass[alive, None]
        moved = _squared_distances(points, centres).argmin(dim=1)
        if torch.equal(moved, labels):
            break
        labels = moved
    nearest = _squared_distances(points, centres).amin(dim=1)
    return labels, float(weights @ nearest)


def _spread_out(
    points: Tensor, weights: Tensor, k: int, generator: torch.Generator
) -> Tensor:
    """Choose starts by k-means++: each with probability ~ weight x distance^2."""
    chosen = [_draw(weights, generator)]
    same = (SAME * row_norms(points).max()).square()
    while len(chosen) < k:
        distance = _squared_distances(points, points[chosen]).amin(dim=1)
        chance = weights * distance.where(distance > same, 0)
        if float(chance.sum()) == 0:
            break
        chosen.append(_draw(chance, generator))
    return points[chosen]


def _draw(chance: Tensor, generator: torch.Generator) -> int:
    return int(torch.multinomial(chance, 1, generator=generator))


def _squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    # The matrix-product form of cdist puts equal points at a distance of about 1e-8.
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, centres, compute_mode=exact).square()


def _by_appearance(labels: Tensor) -> Tensor:
    old: list[int] = cast(Any, labels).tolist()
    order = {label: new for new, label in enumerate(dict.fromkeys(old))}
    return torch.tensor([order[label] for label in old], device=labels.device)
