"""Whether the tasks pull a shared factor in opposite directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section
from .._charts import bar_chart, heat_map
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_conflict(runs: Sequence[RunFolder]) -> Section | None:
    """Show cosines and norms of the tasks' gradients.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if they were not measured.
    """
    found = find_analyses(runs, "conflict")
    blocks = [block for name, one in found for block in _blocks(name, one)]
    if not blocks:
        return None
    lead = (
        "Cosine of the gradients of two tasks on the shared factor. Below 0, a step "
        "for one undoes what the other wants."
    )
    return Section("Conflict of the tasks", lead, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    norms = found["summary"]["norms"]
    tasks = list(norms)
    matrix = [[as_number(value) for value in row] for row in found["summary"]["matrix"]]
    share = found["summary"]["share_negative"]
    cosines = heat_map(
        f"Cosine of gradients: {name}",
        f"Map of cosines of {len(tasks)} tasks; {share:.0%} of the pairs are negative.",
        tasks,
        tasks,
        matrix,
        of="Task",
        unit="cosine",
        scale="two-sided",
        low=-1,
        high=1,
    )
    lengths = bar_chart(
        f"Norm of the gradients: {name}",
        f"Bars of the gradient norm of {len(tasks)} tasks.",
        tasks,
        {"norm": [as_number(norm) for norm in norms.values()]},
        of="Task",
        unit="gradient norm",
    )
    return [cosines, lengths]
