"""A bar for what reads every layer of some adapters and scores no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ._session import show_progress

if TYPE_CHECKING:
    from ..._adapter import Adapter, Factors


@contextmanager
def show_reading(adapters: Mapping[str, Adapter]) -> Iterator[dict[str, Adapter]]:
    """Show a bar of the layers that were read; one read twice counts once.

    Args:
        adapters: Name -> adapter. Not changed.

    Yields:
        The same adapters, which move the bar when a layer is taken from them.
    """
    total = sum(len(adapter.layers) for adapter in adapters.values())
    read: set[tuple[str, str]] = set()
    with show_progress("layers") as progress:

        def tell(adapter: str, layer: str) -> None:
            read.add((adapter, layer))
            progress(len(read), total)

        # Not with_layers: it would read them all at once.
        yield {
            name: replace(adapter, layers=_Told(adapter.layers, partial(tell, name)))
            for name, adapter in adapters.items()
        }


class _Told(Mapping[str, "Factors"]):
    """Layers that tell which of them is taken."""

    def __init__(
        self, layers: Mapping[str, Factors], tell: Callable[[str], None]
    ) -> None:
        self._layers, self._tell = layers, tell

    def __getitem__(self, layer: str) -> Factors:
        factors = self._layers[layer]
        self._tell(layer)
        return factors

    def __contains__(self, layer: object) -> bool:
        # Asked without reading: that of a mapping takes the layer.
        return layer in self._layers

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)
