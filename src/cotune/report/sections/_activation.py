"""CoTo's record: which groups of adapters were on, and when."""

from __future__ import annotations

from collections.abc import Sequence

from .._blocks import Block, Section
from .._charts import heat_map, line_chart, strip_prefix
from .._run_folder import RunFolder


def build_activation(runs: Sequence[RunFolder]) -> Section | None:
    """Show the active share per group over time, beside the planned probability.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no run had a schedule.
    """
    leaves = [
        (run.name if leaf is run else f"{run.name}: {leaf.name}", leaf)
        for run in runs
        for leaf in run.leaves
        if leaf.schedule
    ]
    blocks = [block for name, leaf in leaves for block in _blocks(name, leaf)]
    if not blocks:
        return None
    lead = (
        "CoTo switches groups of adapters off at random and brings them back as "
        "training goes on. Share 1 means that a group was on at every step of the bin."
    )
    return Section("Activation", lead, blocks)


def _blocks(name: str, run: RunFolder) -> list[Block]:
    record = run.schedule
    firsts, steps, share = record["first_steps"], record["steps"], record["share"]
    if not firsts or not share:
        return []
    middles = [
        first + (count - 1) / 2 for first, count in zip(firsts, steps, strict=True)
    ]
    rows = list(share.values())
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    planned = record["probability"]
    return [
        line_chart(
            f"Active share over the steps: {name}",
            "Lines of the planned probability and of the mean active share.",
            {
                "Planned": list(zip(middles, planned, strict=True)),
                "Drawn": list(zip(middles, mean, strict=True)),
            },
            x="step",
            y="share of the groups",
            share=True,
        ),
        heat_map(
            f"Active share per group: {name}",
            f"Map of shares: {len(rows)} groups, the input at the top, by "
            f"{len(firsts)} bins of steps.",
            strip_prefix(list(share)),
            middles,
            rows,
            of="Group",
            unit="share",
            x="step",
            low=0,
            high=1,
        ),
    ]
