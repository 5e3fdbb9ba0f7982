"""One page about one or several runs: curves, scores, maps, recipe, versions.

The page reads the files of the run folders and nothing else, and needs no network.
``render_page`` makes a page of the same looks from sections of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._blocks import Chart, Listing, Section, Table, Tile, Tiles
    from ._charts import bar_chart
    from ._page import build_page, render_page, write_report
    from ._sections import SECTIONS

_PUBLIC = {
    "Chart": "_blocks",
    "Listing": "_blocks",
    "SECTIONS": "_sections",
    "Section": "_blocks",
    "Table": "_blocks",
    "Tile": "_blocks",
    "Tiles": "_blocks",
    "bar_chart": "_charts",
    "build_page": "_page",
    "render_page": "_page",
    "write_report": "_page",
}

__all__ = [
    "SECTIONS",
    "Chart",
    "Listing",
    "Section",
    "Table",
    "Tile",
    "Tiles",
    "bar_chart",
    "build_page",
    "render_page",
    "write_report",
]


__getattr__, __dir__ = lazy(__name__, _PUBLIC)
