"""The table of ``cotune explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..adapters import FactorLine


def build_explain_table(lines: Sequence[FactorLine], layers: int) -> Table:
    """Lay out factors per layer, then the sums per owner.

    Args:
        lines: All factors.
        layers: How many layers to show one by one; 0 shows all.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    names = list(dict.fromkeys(line.layer for line in lines))
    shown = names if layers == 0 else names[:layers]
    left = len(names) - len(shown)
    caption = f"and {left} more layers (--layers 0 shows all)" if left else None
    title = f"{len(names)} adapted layers"
    table = Table(title=title, caption=caption, box=SIMPLE, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for column in ("factor", "shape", "owner"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "bytes"):
        table.add_column(column, justify="right")
    before = ""
    for line in lines:
        if line.layer in shown:
            # The name stands in the first line of a layer only.
            name, before = "" if line.layer == before else line.layer, line.layer
            shape = " x ".join(map(str, line.shape))
            table.add_row(name, line.factor, shape, line.owner, *_numbers([line]))
    table.add_section()
    for owner in ("shared", "private", "frozen"):
        own = [line for line in lines if line.owner == owner]
        if own:
            table.add_row("all layers", "", "", owner, *_numbers(own))
    trained = [line for line in lines if line.owner != "frozen"]
    table.add_row("all layers", "", "", "trained", *_numbers(trained))
    return table


def _numbers(lines: Sequence[FactorLine]) -> tuple[str, str]:
    parameters = sum(line.parameters for line in lines)
    return f"{parameters:,}", f"{sum(line.bytes for line in lines):,}"
