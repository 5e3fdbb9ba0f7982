"""Scores with adapters switched off at random."""

from __future__ import annotations

from collections.abc import Sequence

from .._blocks import Section
from .._charts import line_chart
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_stability(runs: Sequence[RunFolder]) -> Section | None:
    """Show dropout stability, one line per run.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if it was not measured.
    """
    lines = {
        name: [(row["q"], as_number(row["score"])) for row in found["rows"]]
        for name, found in find_analyses(runs, "stability")
    }
    if not lines:
        return None
    lead = (
        "Mean score when every group of adapters is on with probability q. A flat "
        "curve means that no group is needed alone."
    )
    chart = line_chart(
        "Dropout stability",
        f"Lines of the mean score over q: {', '.join(lines)}.",
        lines,
        x="probability q that a group is on",
        y="mean score",
    )
    return Section("Stability", lead, [chart])
