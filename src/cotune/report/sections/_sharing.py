"""Which factor tasks or clients should share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import bar_chart
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses

_FACTORS = {"A": "shared A (row spaces)", "B": "shared B (column spaces)"}


def build_sharing(runs: Sequence[RunFolder]) -> Section | None:
    """Show what a shared A and a shared B must miss, and the advice.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if it was not measured.
    """
    found = find_analyses(runs, "sharing")
    blocks = [block for name, one in found for block in _blocks(name, one)]
    if not blocks:
        return None
    lead = (
        "The share of an update that one common factor of the given rank must miss, "
        "beside what it would miss of unrelated spaces. Less is better. It says which "
        "factor fits, not whether sharing pays."
    )
    return Section("Which factor to share", lead, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    summary = found["summary"]
    kinds = {"these tasks": "missed", "unrelated spaces": "random"}
    chart = bar_chart(
        f"Missed at rank {summary['rank']}, from {summary['source']}: {name}",
        "Bars of the share that is missed with a shared A and with a shared B, beside "
        "that of unrelated spaces.",
        list(_FACTORS.values()),
        {
            kind: [as_number(summary[f"{field}_{factor}"]) for factor in _FACTORS]
            for kind, field in kinds.items()
        },
        of="factor",
        unit="share of an update that is missed",
        share=True,
        reference="unrelated spaces",
    )
    facts = [
        ["advice", summary["advice"]],
        ["tasks", ", ".join(summary["tasks"])],
        ["layers that choose the same", as_number(summary["agreeing"])],
    ]
    return [chart, Table(f"Advice: {name}", ["what", "value"], facts)]
