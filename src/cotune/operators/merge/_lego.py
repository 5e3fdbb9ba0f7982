"""Cluster the rank-one units of all adapters; the centroids are the merged adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._adapter import LowRank, as_dtype
from ..._errors import ConfigError
from ..convert._linalg import norm, row_norms
from ._cluster import cluster
from ._inputs import check_inputs, pad_rank


def lego(
    updates: Sequence[LowRank],
    weights: Sequence[float],
    *,
    rank: int | None = None,
    reweight_parameters: bool = True,
    reweight_output: bool = True,
    balance: bool = False,
    restarts: int = 10,
    generator: torch.Generator,
) -> LowRank:
    """Group all units (row of A, column of B) into k clusters and keep the centroids.

    Args:
        updates: One per adapter, of one shape; ranks may differ. Units whose row or
            column is zero add nothing to an update and are left out.
        weights: One number >= 0 per update; only the ratios count. A unit has the
            weight of its adapter, in the clustering and in the centroids.
        rank: k, the rank of the result; None takes the largest rank given.
        reweight_parameters: Stretch each centroid to the mean norm of its units: the
            mean of unlike vectors is shorter than they are.
        reweight_output: Multiply by sqrt(mean rank / k): fewer units make a smaller
            output.
        balance: First split the size of each unit evenly between its row and its
            column. The result then does not depend on the split, nor on whether the
            scale is inside B. Off in the paper.
        restarts: How many k-means++ starts; the tightest clustering is taken.
        generator: Draws the starts.

    Returns:
        An update of rank k, padded with zeros where there are fewer distinct units.

    Raises:
        ConfigError: The inputs do not fit together, a negative weight, or ``rank`` or
            ``restarts`` below 1.

    Source: arXiv:2409.16167 (LoRA-LEGO), with its parameter and output reweighting.
    Differs: weights, and different ranks (their mean stands for r).
    """
    inputs = check_inputs("lego", updates, weights)
    if min(inputs.weights) < 0 or sum(inputs.weights) == 0:
        raise ConfigError(
            f"lego: weights must be at least 0 and not all 0, got {inputs.weights!r}. "
            "A cluster cannot hold a unit a negative number of times; use mix."
        )
    ranks = [update.rank for update in inputs.updates]
    rank = max(ranks) if rank is None else rank
    if rank < 1 or restarts < 1:
        raise ConfigError(
            f"lego: rank and restarts must be at least 1, got {rank!r}, {restarts!r}."
        )
    d_in = inputs.updates[0].shape[1]
    units, share = _units(inputs.updates, inputs.weights, balance=balance)
    labels = cluster(units, share, rank, restarts=restarts, generator=generator)
    centroids = _centroids(units, share, labels, stretch=reweight_parameters)
    scale = math.sqrt(sum(ranks) / len(ranks) / rank) if reweight_output else 1.0
    merged = LowRank(A=centroids[:, :d_in], B=scale * centroids[:, d_in:].T)
    return as_dtype(pad_rank(merged, rank), inputs.dtype)


def _units(
    updates: Sequence[LowRank], weights: Sequence[float], *, balance: bool
) -> tuple[Tensor, Tensor]:
    """Return the units [a_i, b_i], shape (n, d_in + d_out), and their weights."""
    A = torch.cat([update.A for update in updates])
    B = torch.cat([update.B.T for update in updates])
    share = torch.cat(
        [
            A.new_full((update.rank,), w)
            for update, w in zip(updates, weights, strict=True)
        ]
    )
    rows, columns = row_norms(A), row_norms(B)
    stretch = (columns / rows).sqrt()[:, None] if balance else torch.ones_like(A[:, :1])
    units = torch.cat([A * stretch, B / stretch], dim=1)
    used = (rows > 0) & (columns > 0) & (share > 0)
    return units[used], share[used]


def _centroids(
    units: Tensor, share: Tensor, labels: Tensor, *, stretch: bool
) -> Tensor:
    """Average the units of each label, in the order of the labels."""
    rows: list[Tensor] = []
    for label in range(int(labels.max()) + 1 if len(labels) else 0):
        mine = labels == label
        part = share[mine] / share[mine].sum()
        centroid = part @ units[mine]
        if stretch:
            length = part @ row_norms(units[mine])
            # Units that cancel exactly leave no direction to stretch.
            centroid = centroid * (length / max(norm(centroid), 1e-30))
        rows.append(centroid)
    return torch.stack(rows) if rows else units
