"""What each layer or group adds to the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import bar_chart, strip_prefix
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_contribution(runs: Sequence[RunFolder]) -> Section | None:
    """Show the contributions (Shapley values) as bars.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if they were not measured.
    """
    found = find_analyses(runs, "contribution")
    blocks = [block for name, one in found for block in _blocks(name, one)]
    if not blocks:
        return None
    lead = (
        "Shapley values: what an adapter adds on average over all orders of switching "
        "them on. They sum to the gain of all over none. Short lines are one standard "
        "error."
    )
    return Section("Contributions", lead, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    rows, summary = found["rows"], found["summary"]
    values = [as_number(row["phi"]) for row in rows]
    errors = [as_number(row["standard_error"]) for row in rows]
    spread = {"contribution": errors} if any(errors) else None
    chart = bar_chart(
        f"Contribution of each adapter: {name}",
        f"Bars of the contribution of {len(rows)} adapters, from input to output.",
        strip_prefix([str(row["player"]) for row in rows]),
        {"contribution": values},
        of="Adapter",
        unit="contribution to the value",
        spread=spread,
    )
    facts = [[str(key).replace("_", " "), value] for key, value in summary.items()]
    return [chart, Table(f"How it was estimated: {name}", ["", "Value"], facts)]
