"""Keep one third of the depth."""

from __future__ import annotations

from ..._adapter import Adapter
from ..._errors import ConfigError
from ._blocks import depths
from ._result import PruneResult, keep_layers


def low(adapter: Adapter) -> PruneResult:
    """Keep the lowest third of the blocks, those nearest to the input.

    Args:
        adapter: An adapter on at least 3 blocks. Block i of n belongs to third
            floor(3 i / n). Layers outside the blocks (``lm_head``) stay.

    Returns:
        The adapter with the other layers taken out.

    Raises:
        ConfigError: A stack of blocks has fewer than 3.

    Source: arXiv:2506.05713 (CoTo), structured pruning.
    """
    return _keep_third("low", adapter, 0)


def middle(adapter: Adapter) -> PruneResult:
    """Keep the middle third of the blocks; see ``low``."""
    return _keep_third("middle", adapter, 1)


def high(adapter: Adapter) -> PruneResult:
    """Keep the highest third of the blocks, nearest to the output; see ``low``."""
    return _keep_third("high", adapter, 2)


def _keep_third(where: str, adapter: Adapter, third: int) -> PruneResult:
    depth = depths(adapter.layers)
    blocks = min((count for _, count in depth.values()), default=0)
    if blocks < 3:
        raise ConfigError(
            f"{where}: the adapter must lie on at least 3 numbered blocks, "
            f"got {blocks}."
        )
    kept = [
        name
        for name in adapter.layers
        if name not in depth or 3 * depth[name][0] // depth[name][1] == third
    ]
    return keep_layers(where, adapter, kept)
