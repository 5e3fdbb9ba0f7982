"""What averaging factors costs against averaging updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Chart, Section
from .._charts import heat_map, strip_prefix
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_fusion_gap(runs: Sequence[RunFolder]) -> Section | None:
    """Show the fusion gap per layer, before and after alignment.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if it was not measured.
    """
    found = find_analyses(runs, "fusion-gap")
    if not found:
        return None
    lead = (
        "Frobenius norms per layer: of the average update, and of what the product of "
        "averaged factors misses of it, before and after the factors were aligned."
    )
    return Section("Fusion gap", lead, [_chart(*one) for one in found])


def _chart(name: str, found: Mapping[str, Any]) -> Chart:
    rows = found["rows"]
    columns = {"mix": "average update", "before": "gap", "after": "gap after alignment"}
    return heat_map(
        f"Fusion gap per layer: {name}",
        f"Map of norms for {len(rows)} layers: {', '.join(columns.values())}.",
        strip_prefix([str(row["layer"]) for row in rows]),
        list(columns.values()),
        [[as_number(row[column]) for column in columns] for row in rows],
        of="Layer",
        unit="Frobenius norm",
        low=0,
    )
