"""Scores per task, beside the base model and beside training on each task alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._blocks import Block, Chart, Section, Table
from .._charts import Number, bar_chart
from .._numbers import as_number
from .._run_folder import RunFolder

_IN_ONE = ("accuracy", "exact_match", "f1", "rouge1", "rougeL")
"""Metrics whose best score is 1."""


def build_scores(runs: Sequence[RunFolder]) -> Section | None:
    """Show the scores of the tasks, one chart per metric.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no run has scores.
    """
    scored = [run for run in runs if run.tasks]
    if not scored:
        return None
    found = [score for run in scored for score in run.tasks.values()]
    metrics = dict.fromkeys(str(score["metric"]) for score in found)
    blocks: list[Block] = [_chart(scored, metric) for metric in metrics]
    parts = sorted({f"{score['part']} rows" for score in found})
    lead = f"Scored on {' and '.join(parts)}. {_directions(metrics, found)}"
    return Section("Scores per task", lead, [*blocks, _summary(scored)])


def _directions(metrics: Iterable[str], found: Iterable[Mapping[str, Any]]) -> str:
    better = {str(s["metric"]): bool(s["higher_is_better"]) for s in found}
    words = [f"{m}: {'higher' if better[m] else 'lower'} is better" for m in metrics]
    return f"{'; '.join(words)}."


def _chart(runs: Sequence[RunFolder], metric: str) -> Chart:
    names = list(
        dict.fromkeys(
            task
            for run in runs
            for task, score in run.tasks.items()
            if score["metric"] == metric
        )
    )
    groups: dict[str, list[Number]] = {}
    for run in runs:
        for column, label in _columns(run, alone=len(runs) == 1):
            values = [as_number(run.tasks.get(n, {}).get(column)) for n in names]
            if any(value is not None for value in values):
                _add(groups, label, values, run.name)
    shown = ", ".join(groups)
    return bar_chart(
        f"{metric.capitalize()} per task",
        f"Bars of {metric} for {len(names)} tasks: {shown}.",
        names,
        groups,
        of="Task",
        unit=metric,
        share=metric in _IN_ONE,
        reference="Base model",
    )


def _columns(run: RunFolder, *, alone: bool) -> list[tuple[str, str]]:
    own = "Adapter" if alone else run.name
    if run.recipe.get("separate"):
        own = f"{own} (one adapter per task)"
    return [("base", "Base model"), ("adapter", own), ("single", "Trained alone")]


def _add(
    groups: dict[str, list[Number]], label: str, values: list[Number], run: str
) -> None:
    """Add a group, unless the same numbers are there: runs share the base's."""
    if label not in groups:
        groups[label] = values
    elif groups[label] != values:
        groups[f"{label} of {run}"] = values


def _summary(runs: Sequence[RunFolder]) -> Table:
    rows = [
        [
            run.name,
            label,
            metric,
            as_number(found["mean"]),
            as_number(found["worst"]),
            str(found["worst_task"]),
            as_number(found["spread"]),
            _change(run, column, "base"),
            _change(run, column, "single"),
        ]
        for run in runs
        for column, label in _columns(run, alone=True)
        for metric, found in run.metrics.get("summary", {}).get(column, {}).items()
    ]
    heads = ("Run", "Model", "Metric", "Mean", "Worst")
    return Table(
        "Over all tasks (dm%: mean relative change, below 0 is a gain)",
        [*heads, "Worst task", "Spread", "dm% to base", "dm% to trained alone"],
        rows,
    )


def _change(run: RunFolder, column: str, against: str) -> Number:
    if column != "adapter":
        return None
    return as_number(run.metrics.get("dm_percent", {}).get(against))
