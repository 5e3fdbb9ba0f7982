"""Trim, elect a sign, average what agrees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..._adapter import LowRank
from ..prune._threshold import keep_largest
from ._inputs import check_inputs, check_share


def ties(
    updates: Sequence[LowRank],
    weights: Sequence[float],
    *,
    density: float = 0.2,
    scale: float = 1.0,
) -> Float[Tensor, "d_out d_in"]:
    """Merge entry by entry: keep the large ones, elect a sign, average who agrees.

    Args:
        updates: One per adapter, of one shape; ranks may differ.
        weights: One per update. Only their ratios count: the vote and the mean are
            weighted, so equal weights give the paper's method whatever their size. A
            negative weight turns its update round.
        density: Share of the entries of each update that survives the trim, in [0, 1].
        scale: Factor on the merged update, the paper's lambda.

    Returns:
        A dense update of shape (d_out, d_in): the method has no low-rank form. Needs
        the n updates of this one layer in memory.

    Raises:
        ConfigError: The inputs do not fit together, or ``density`` is outside [0, 1].

    Source: arXiv:2306.01708, steps 1 to 3. Differs: trims within a layer, not over the
    whole model; the vote and the mean are weighted; an entry whose votes cancel exactly
    becomes 0 (there: the sign of the majority of all entries), so that merging the
    negated updates negates the result.
    """
    check_share("ties", "density", density)
    inputs = check_inputs("ties", updates, weights).positive()
    trimmed = [keep_largest(update.delta(), density) for update in inputs.updates]
    return (scale * average_agreeing(trimmed, inputs.weights)).to(inputs.dtype)


def average_agreeing(
    values: Sequence[Float[Tensor, "rows columns"]], weights: Sequence[float]
) -> Float[Tensor, "rows columns"]:
    """Elect the sign of each entry and average the values that have it.

    Args:
        values: Matrices of one shape. A zero entry takes no part.
        weights: One number >= 0 per matrix.

    Returns:
        sum w v / sum w over the matrices whose entry has the sign of sum w v; 0 where
        that sum is 0.
    """
    pairs = list(zip(values, weights, strict=True))
    votes = torch.zeros_like(values[0])
    for value, weight in pairs:
        votes += weight * value
    elected = votes.sign()
    total, share = torch.zeros_like(votes), torch.zeros_like(votes)
    for value, weight in pairs:
        agrees = value.sign() == elected
        total += value.where(agrees, 0) * weight
        share += agrees * weight
    # An entry that nobody touched has an elected sign of 0: all agree on the value 0.
    return total / share.masked_fill(share == 0, 1)
