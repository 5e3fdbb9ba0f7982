"""Analyses that have no section of their own, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._run_folder import RunFolder, find_analyses
from .._sections import SECTIONS

_MOST_ROWS = 1000


def build_others(runs: Sequence[RunFolder]) -> Section | None:
    """Show all other files of ``analysis/``; nothing that lies there is left out.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if there are none.
    """
    # A section that draws an analysis has its name.
    kinds = dict.fromkeys(
        str(one["analysis"]) for run in runs for one in run.analyses.values()
    )
    blocks: list[Block] = [
        _table(f"{kind}: {name}", found["rows"])
        for kind in kinds
        if kind not in SECTIONS
        for name, found in find_analyses(runs, kind)
    ]
    return Section("Other results", "", blocks) if blocks else None


def _table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    if len(rows) > _MOST_ROWS:
        caption = f"{caption} (the first {_MOST_ROWS} of {len(rows)} rows)"
    body = [[_cell(row.get(key)) for key in columns] for row in rows[:_MOST_ROWS]]
    return Table(caption, columns, body)


def _cell(value: Any) -> str | int | float | None:
    plain = value is None or isinstance(value, (str, int, float))
    return value if plain else str(value)
