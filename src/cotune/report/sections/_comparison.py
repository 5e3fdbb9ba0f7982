"""A comparison of methods that were tuned alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import bar_chart, line_chart
from .._run_folder import RunFolder

Cell = Mapping[str, Any]
Found = Mapping[str, Any]


def build_comparison(runs: Sequence[RunFolder]) -> Section | None:
    """Show the arms of a comparison side by side, as ``cotune compare`` left them.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no folder holds a comparison.
    """
    found = [run.comparison for run in runs if run.comparison]
    blocks = [block for one in found for block in _blocks(one)]
    if not blocks:
        return None
    lead = (
        "Every method had the same learning rates to choose from, on validation rows, "
        "and the same steps. Scores are on test rows, means over the seeds; the short "
        "lines are one standard deviation over the seeds."
    )
    return Section("Methods compared", lead, blocks)


def _blocks(found: Found) -> list[Block]:
    arms = {arm: _chosen(one) for arm, one in found["arms"].items()}
    base: Mapping[str, float] = found["base"]
    groups: dict[str, list[float | None]] = {"Base model": list(base.values())}
    spread: dict[str, list[float | None]] = {}
    for arm, chosen in arms.items():
        columns = [[cell["scores"][task] for cell in chosen] for task in base]
        groups[arm] = [fmean(column) for column in columns]
        spread[arm] = [_spread(column) for column in columns]
    means = [_mean_scores(chosen) for chosen in arms.values()]
    everywhere = bar_chart(
        "Mean score per method",
        f"Bars of the mean test score of {len(arms)} methods and the base model.",
        ["Base model", *arms],
        {"Mean score": [fmean(base.values()), *(fmean(mean) for mean in means)]},
        of="Method",
        unit=f"mean {found.get('metric', 'score')} over tasks",
        spread={"Mean score": [None, *map(_spread, means)]},
    )
    per_task = bar_chart(
        "Score per task and method",
        f"Bars of the test score on {len(base)} tasks, one colour per method.",
        list(base),
        groups,
        of="Task",
        unit="score",
        spread=spread,
        reference="Base model",
    )
    return [everywhere, per_task, *_rates(found["cells"], list(arms)), _costs(arms)]


def _chosen(arm: Found) -> Sequence[Cell]:
    """Return per seed the run of the rate that did best on validation rows."""
    return arm["chosen"]


def _spread(scores: Sequence[float]) -> float | None:
    """Return the deviation over the seeds; one seed has none."""
    return pstdev(scores) if len(scores) > 1 else None


def _mean_scores(chosen: Sequence[Cell]) -> list[float]:
    return [fmean(cell["scores"].values()) for cell in chosen]


def _rates(cells: Sequence[Cell], arms: Sequence[str]) -> list[Block]:
    rates = sorted({cell["learning_rate"] for cell in cells})
    lines = {
        arm: [
            (rate, fmean(found))
            for rate in rates
            if (found := _validations(cells, arm, rate))
        ]
        for arm in arms
    }
    if all(len(points) < 2 for points in lines.values()):
        return []
    chart = line_chart(
        "Validation score per learning rate",
        "Lines of the mean validation score over the learning rates, one per method.",
        lines,
        x="learning rate",
        y="mean validation score",
    )
    # The rates themselves: ticks of a log axis would be single digits.
    ticks = [f"{rate:g}" for rate in rates]
    chart.layout["xaxis"].update(type="log", tickvals=rates, ticktext=ticks)
    return [chart]


def _validations(cells: Sequence[Cell], arm: str, rate: float) -> list[float]:
    return [
        cell["validation"]
        for cell in cells
        if (cell["arm"], cell["learning_rate"]) == (arm, rate)
    ]


def _costs(arms: Mapping[str, Sequence[Cell]]) -> Table:
    rows = [
        [
            arm,
            ", ".join(f"{cell['learning_rate']:g}" for cell in chosen),
            fmean(_mean_scores(chosen)),
            _spread(_mean_scores(chosen)),
            len(chosen),
            round(fmean(cell["parameters"] for cell in chosen)),
            fmean(cell["seconds"] for cell in chosen),
        ]
        for arm, chosen in arms.items()
    ]
    columns = ["Method", "Learning rate chosen, per seed", "Mean score", "Spread"]
    more = ["Seeds", "Numbers trained", "Seconds per run"]
    return Table("Scores and cost of the chosen runs", [*columns, *more], rows)
