"""Average the updates."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..._adapter import LowRank, as_dtype
from ._inputs import check_inputs


def mix(updates: Sequence[LowRank], weights: Sequence[float]) -> LowRank:
    """Add the weighted updates: sum_k w_k B_k A_k, exactly.

    Args:
        updates: One per adapter, of one shape; ranks may differ.
        weights: One per update, used as they are: 1 / n each is the mean, 1 each the
            sum, negative ones subtract.

    Returns:
        The factors side by side, of rank sum_k r_k; nothing is multiplied out.
        ``recompress`` brings the rank down.

    Raises:
        ConfigError: The inputs do not fit together.

    Source: arXiv:2212.04089 (task arithmetic), on the updates of adapters.
    """
    inputs = check_inputs("mix", updates, weights)
    A = torch.cat([update.A for update in inputs.updates])
    B = torch.cat(
        [
            w * update.B
            for update, w in zip(inputs.updates, inputs.weights, strict=True)
        ],
        dim=1,
    )
    return as_dtype(LowRank(A, B), inputs.dtype)
