"""Which tasks to train together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import heat_map
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_affinity(runs: Sequence[RunFolder]) -> Section | None:
    """Show the affinities of tasks, ordered by group, and the advice.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if they were not measured.
    """
    found = find_analyses(runs, "affinity")
    blocks = [block for name, one in found for block in _blocks(name, one)]
    if not blocks:
        return None
    lead = "Tasks with a high affinity gain from a shared factor. Ordered by group."
    return Section("Affinity of the tasks", lead, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    summary = found["summary"]
    tasks = list(summary["tasks"])
    order = [task for group in summary["groups"] for task in group["tasks"]]
    places = [tasks.index(task) for task in order]
    matrix = summary["matrix"]
    chart = heat_map(
        f"Affinity, from {summary['source']}: {name}",
        f"Map of affinities: {len(tasks)} tasks in {len(summary['groups'])} groups.",
        order,
        order,
        [[as_number(matrix[i][j]) for j in places] for i in places],
        of="Task",
        unit="affinity",
        scale="two-sided",
        low=-1,
        high=1,
    )
    advice = [[place, text] for place, text in enumerate(summary["advice"], start=1)]
    return [chart, Table(f"Advice: {name}", ["", "What to train together"], advice)]
