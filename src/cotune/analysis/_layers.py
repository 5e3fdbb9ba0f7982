"""The layers that adapters of several tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping

from .._adapter import Adapter
from .._errors import ConfigError


def list_layers(where: str, adapters: Mapping[str, Adapter]) -> list[str]:
    """Return the layers of adapters that must all have the same.

    Args:
        where: Name of the analysis, for the message.
        adapters: Task -> its adapter.

    Raises:
        ConfigError: Fewer than two tasks, or layers that differ.
    """
    if len(adapters) < 2:
        raise ConfigError(f"{where}: two tasks are needed, got {list(adapters)}.")
    layers = list(next(iter(adapters.values())).layers)
    for task, adapter in adapters.items():
        if set(adapter.layers) != set(layers):
            raise ConfigError(
                f"{where}: all adapters must have the same layers, got others in "
                f"{task}. Train all tasks by one recipe."
            )
    return layers
