"""What a page is made of: sections of tiles, charts, tables and listings.

Plain values without markup. Texts may come from anywhere; the template escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table with a heading per column; the first column names the row.

    Args:
        caption: What it shows, in a few words.
        columns: Headings.
        rows: Cells, as many per row as there are columns; None where there is none.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Chart:
    """A chart, with the table of its numbers.

    Args:
        title: Shown above it.
        alt: One sentence for those who cannot see it.
        style: ``lines``, ``bars`` or ``map``; the page's script draws by it.
        traces: Plotly traces without colours, which depend on light or dark.
        layout: Plotly layout, without colours and sizes.
        height: In pixels, on a wide screen.
        table: The same numbers.
    """

    kind: ClassVar[str] = "chart"
    title: str
    alt: str
    style: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int
    table: Table


@dataclass(frozen=True)
class Tile:
    """One number to see first.

    Args:
        label: What it is.
        value: The number.
        note: A few words below it.
    """

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Some numbers in large print, side by side.

    Args:
        tiles: In reading order.
    """

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Listing:
    """A file, shown as it is, folded away.

    Args:
        title: Its name.
        text: Its content.
    """

    kind: ClassVar[str] = "listing"
    title: str
    text: str


Block = Table | Chart | Tiles | Listing


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title: Its heading.
        lead: One or two sentences on what is shown and how to read it.
        blocks: What it shows.
    """

    title: str
    lead: str
    blocks: Sequence[Block]
