"""Scores on the lines between adapters of one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import Number, line_chart
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_connectivity(runs: Sequence[RunFolder]) -> Section | None:
    """Show linear mode connectivity: scores and losses over the share of the second.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if it was not measured.
    """
    found = find_analyses(runs, "connectivity")
    blocks = [block for name, one in found for block in _blocks(name, one)]
    if not blocks:
        return None
    lead = (
        "Adapters of one task from different seeds, averaged factor by factor. The "
        "barrier is the largest drop below the straight line between both ends; near "
        "0, they can be merged."
    )
    return Section("Connectivity", lead, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    lines, rows = found["summary"]["lines"], found["rows"]
    blocks: list[Block] = []
    for key, title in (("score", "Score"), ("loss", "Loss")):
        curves = {f"{o['one']} - {o['other']}": _curve(rows, o, key) for o in lines}
        if any(value is not None for curve in curves.values() for _, value in curve):
            blocks.append(
                line_chart(
                    f"{title} between two adapters: {name}",
                    f"Lines of the {key} over the share of the second adapter.",
                    curves,
                    x="share of the second adapter",
                    y=key,
                )
            )
    heads = ["Pair", "Mean of the ends", "Half and half", "Barrier", "Loss barrier"]
    keys = ("ends", "half", "barrier", "loss_barrier")
    table = [
        [f"{o['one']} - {o['other']}", *(as_number(o[key]) for key in keys)]
        for o in lines
    ]
    blocks.append(Table(f"Barriers: {name}", heads, table))
    ratios = [[r, as_number(v)] for r, v in found["summary"]["ratios"].items()]
    return [*blocks, Table(f"Mean score per ratio: {name}", ["Ratio", "Score"], ratios)]


def _curve(
    rows: Sequence[Mapping[str, Any]], line: Mapping[str, Any], key: str
) -> list[tuple[float, Number]]:
    curve = f"{line['one']} - {line['other']}"
    return [
        (row[f"weight {line['other']}"], as_number(row.get(key)))
        for row in rows
        if row["curve"] == curve
    ]
