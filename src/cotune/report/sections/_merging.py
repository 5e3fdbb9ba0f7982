"""Scores of one merged adapter on the tasks that went in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .._blocks import Block, Section
from .._charts import Number, bar_chart, heat_map
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses


def build_merging(runs: Sequence[RunFolder]) -> Section | None:
    """Show merged adapters: one bar per operator, and a map of operators and tasks.

    Reads files with ``"analysis": "merging"`` whose ``rows`` have ``operator``,
    ``setting``, ``task`` and ``score``. Several files are drawn side by side where they
    tried the same.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if nothing was merged.
    """
    found = {name: _tabulate(one) for name, one in find_analyses(runs, "merging")}
    if not found:
        return None
    lead = (
        "Several adapters in one, without training again. The own adapter of each task "
        "is what merging can lose; the base model is what it starts from."
    )
    blocks: list[Block] = [_bars(found)]
    blocks += [_map(name, table) for name, table in found.items()]
    return Section("Merging", lead, blocks)


Scores = Mapping[str, Mapping[str, Number]]


def _tabulate(found: Mapping[str, Any]) -> Scores:
    """Return operator with its setting -> task -> score."""
    table: dict[str, dict[str, Number]] = {}
    for row in found["rows"]:
        title = f"{row['operator']} {row.get('setting', '')}".strip()
        table.setdefault(title, {})[str(row["task"])] = as_number(row["score"])
    return table


def _bars(found: Mapping[str, Scores]) -> Block:
    titles = list(dict.fromkeys(title for table in found.values() for title in table))
    groups = {
        name: [_mean(table.get(title, {})) for title in titles]
        for name, table in found.items()
    }
    return bar_chart(
        "Mean score over the tasks, per operator",
        f"Bars of the mean score of {len(titles)} ways to merge, for "
        f"{', '.join(found)}.",
        titles,
        groups,
        of="Operator",
        unit="mean score over tasks",
    )


def _map(name: str, table: Scores) -> Block:
    tasks = list(dict.fromkeys(task for scores in table.values() for task in scores))
    return heat_map(
        f"Score per operator and task: {name}",
        f"Map of the score of {len(table)} ways to merge on {len(tasks)} tasks.",
        list(table),
        tasks,
        [[scores.get(task) for task in tasks] for scores in table.values()],
        of="Operator",
        unit="score",
    )


def _mean(scores: Mapping[str, Number]) -> Number:
    there = [score for score in scores.values() if score is not None]
    return fmean(there) if there else None
