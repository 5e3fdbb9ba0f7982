"""Keep every second block."""

from __future__ import annotations

from ..._adapter import Adapter
from ..._errors import ConfigError
from ._blocks import depths
from ._result import PruneResult, keep_layers


def every_other(adapter: Adapter, *, first: int = 0) -> PruneResult:
    """Keep the adapters of every second transformer block.

    Args:
        adapter: Any adapter. Layers outside the blocks (``lm_head``) stay.
        first: 0 keeps the blocks 0, 2, 4, ..; 1 keeps 1, 3, 5, .., counted over the
            blocks that have an adapter.

    Returns:
        The adapter with the other layers taken out.

    Raises:
        ConfigError: ``first`` is neither 0 nor 1, or no layer would be left.

    Source: arXiv:2506.05713 (CoTo), alternate pruning.
    """
    if first not in (0, 1):
        raise ConfigError(f"every_other: first must be 0 or 1, got {first!r}.")
    depth = depths(adapter.layers)
    kept = [
        name
        for name in adapter.layers
        if name not in depth or depth[name][0] % 2 == first
    ]
    return keep_layers("every_other", adapter, kept)
