"""Average the factors."""

from __future__ import annotations

from collections.abc import Sequence

from ..._adapter import LowRank, as_dtype
from ._inputs import check_inputs, same_rank


def fuse(updates: Sequence[LowRank], weights: Sequence[float]) -> LowRank:
    """Average A and B separately: (sum_k w_k B_k) (sum_k w_k A_k).

    This is not the average of the updates. For two adapters with weights w and 1 - w,
    ``fuse - mix = -w (1 - w) (B_1 - B_2) (A_1 - A_2)``, so it needs factors that lie
    close together; see ``align``.

    Args:
        updates: One per adapter, of one shape; scale inside B. Smaller ranks are padded
            with zeros.
        weights: One per update, used as they are (1 / n each is the mean). PEFT's
            ``linear`` puts sqrt(w_k) on each factor: its weight w^2 is our w.

    Returns:
        An update of the largest rank given.

    Raises:
        ConfigError: The inputs do not fit together.

    Source: arXiv:2506.05713 (CoTo), linear fusion. Differs: ranks may differ, and the
    scale alpha / r is averaged with B.
    """
    inputs = check_inputs("fuse", updates, weights)
    pairs = list(zip(same_rank(inputs.updates), inputs.weights, strict=True))
    A = sum(
        (weight * update.A for update, weight in pairs[1:]), pairs[0][1] * pairs[0][0].A
    )
    B = sum(
        (weight * update.B for update, weight in pairs[1:]), pairs[0][1] * pairs[0][0].B
    )
    return as_dtype(LowRank(A, B), inputs.dtype)
