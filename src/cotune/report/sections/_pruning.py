"""Scores of pruned adapters over what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Chart, Section
from .._charts import Point, line_chart
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_pruning(runs: Sequence[RunFolder]) -> Section | None:
    """Show pruning curves, one chart per run and one line per operator.

    Reads files with ``"analysis": "pruning"`` whose ``rows`` have ``operator``,
    ``kept`` (share of the adapter's numbers that is left, in [0, 1]) and ``score``.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if nothing was pruned.
    """
    found = find_analyses(runs, "pruning")
    if not found:
        return None
    lead = "Scores after pruning without training again. Kept 1 is the whole adapter."
    return Section("Pruning", lead, [_chart(name, one) for name, one in found])


def _chart(name: str, found: Mapping[str, Any]) -> Chart:
    lines: dict[str, list[Point]] = {}
    for row in sorted(found["rows"], key=lambda row: row["kept"]):
        points = lines.setdefault(str(row["operator"]), [])
        points.append((row["kept"], as_number(row["score"])))
    return line_chart(
        f"Score of pruned adapters: {name}",
        f"Lines of the score over the share kept, for {', '.join(lines)}.",
        lines,
        x="share of the numbers kept",
        y="score",
    )
