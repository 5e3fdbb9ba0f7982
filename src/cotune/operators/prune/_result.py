"""What every prune operator returns, and how layers are taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..._adapter import Adapter
from ..._errors import ConfigError


@dataclass(frozen=True)
class PruneResult:
    """A pruned adapter.

    Args:
        adapter: A valid adapter; what stays keeps its name and order.
        removed: Names of the layers that were taken out.
        errors: Layer name -> relative Frobenius error of the recompression, for
            operators that prune the multiplied-out update; else empty.
    """

    adapter: Adapter
    removed: tuple[str, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict[str, float])


def keep_layers(where: str, adapter: Adapter, kept: Sequence[str]) -> PruneResult:
    """Take out all layers but some; factors are shared with the input, not copied.

    Works for every coupling, with or without a router. ``target_modules`` of the config
    becomes the list of the layers kept, so that the adapter loads with these only.

    Args:
        where: Name of the operator, for messages.
        adapter: The adapter to take layers from.
        kept: Names to keep; they come out in the order of the adapter.

    Returns:
        The smaller adapter and the names removed.

    Raises:
        ConfigError: No layer would be left.
    """
    stays = set(kept)
    layers = {name: value for name, value in adapter.layers.items() if name in stays}
    if not layers:
        raise ConfigError(
            f"{where}: at least one layer must stay, got none of "
            f"{len(adapter.layers)}. Prune less, or use the base model."
        )
    removed = tuple(name for name in adapter.layers if name not in stays)
    config = {**adapter.config, "target_modules": list(layers)}
    return PruneResult(replace(adapter, layers=layers, config=config), removed)
