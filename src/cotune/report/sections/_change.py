"""How far factors have moved, and what averaging factors costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Chart, Section
from .._charts import Number, heat_map, strip_prefix
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses

_NUMBERS = ("direction", "magnitude", "cosine")


def build_change(runs: Sequence[RunFolder]) -> Section | None:
    """Show the change of every factor since its start.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if it was not measured.
    """
    found = find_analyses(runs, "change")
    if not found:
        return None
    lead = (
        "Direction: mean of 1 - cosine over the columns. Magnitude: mean change of "
        "their length. Cosine: of the whole matrix with what it was."
    )
    return Section("Change since the start", lead, [_chart(*one) for one in found])


def _chart(name: str, found: Mapping[str, Any]) -> Chart:
    layers = list(dict.fromkeys(str(row["layer"]) for row in found["rows"]))
    columns: dict[str, dict[str, Number]] = {}
    for row in found["rows"]:
        for number in _NUMBERS:
            column = f"{row['factor']}{row['member']} {number}"
            columns.setdefault(column, {})[str(row["layer"])] = as_number(row[number])
    return heat_map(
        f"Change since {found['summary']['reference']}: {name}",
        f"Map of {len(layers)} layers by factor: direction, magnitude and cosine.",
        strip_prefix(layers),
        list(columns),
        [[column.get(layer) for column in columns.values()] for layer in layers],
        of="Layer",
        unit="change",
    )
