"""Loss, scores and learning rate over the steps."""

from __future__ import annotations

from collections.abc import Sequence

from .._blocks import Block, Section
from .._charts import Point, heat_map, line_chart
from .._numbers import as_number
from .._run_folder import RunFolder

_PLAIN = {
    "loss": ("Training loss", "loss in nats"),
    "eval_loss": ("Validation loss", "loss in nats"),
    "grad_norm": ("Gradient norm", "norm before clipping"),
    "learning_rate": ("Learning rate", "learning rate"),
}
_MEAN, _WORST = "eval_mean_", "eval_worst_"
Lines = dict[str, list[Point]]


def build_curves(runs: Sequence[RunFolder]) -> Section | None:
    """Show what was logged over the steps.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no run has a log.
    """
    logged = _logged(runs)
    blocks: list[Block] = []
    for key in ("loss", "eval_loss"):
        blocks += _plain(logged, key)
    blocks += _scores(logged)
    for name, run in logged.items():
        blocks += _per_task(name, run)
    for key in ("grad_norm", "learning_rate"):
        blocks += _plain(logged, key)
    if not blocks:
        return None
    lead = "As logged in training; a point is the mean since the one before it."
    return Section("Curves", lead, blocks)


def _logged(runs: Sequence[RunFolder]) -> dict[str, RunFolder]:
    """Name every folder with a log; the parts of a run by run and task."""
    named = {
        (run.name if leaf is run else f"{run.name}: {leaf.name}"): leaf
        for run in runs
        for leaf in run.leaves
    }
    return {name: leaf for name, leaf in named.items() if leaf.history}


def _points(run: RunFolder, key: str) -> list[Point]:
    return [
        (entry["step"], value)
        for entry in run.history
        if "step" in entry and (value := as_number(entry.get(key))) is not None
    ]


def _plain(logged: dict[str, RunFolder], key: str) -> list[Block]:
    lines = {name: _points(run, key) for name, run in logged.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return []
    title, unit = _PLAIN[key]
    names = ", ".join(lines)
    alt = f"{title} over the optimizer steps: {names}."
    return [line_chart(title, alt, lines, x="step", y=unit)]


def _scores(logged: dict[str, RunFolder]) -> list[Block]:
    """Draw mean and worst task of every metric."""
    keys = dict.fromkeys(
        key
        for run in logged.values()
        for entry in run.history
        for key in entry
        if key.startswith((_MEAN, _WORST))
    )
    metrics = dict.fromkeys(key.removeprefix(_MEAN).removeprefix(_WORST) for key in keys)
    blocks: list[Block] = []
    for metric in metrics:
        lines: Lines = {}
        for name, run in logged.items():
            for prefix, word in ((_MEAN, "mean"), (_WORST, "worst task")):
                if points := _points(run, prefix + metric):
                    lines[f"{name}, {word}"] = points
        blocks.append(
            line_chart(
                f"Validation {metric}",
                f"Mean and worst {metric} over the tasks, over the optimizer steps.",
                lines,
                x="step",
                y=metric,
                faint=[name for name in lines if name.endswith("worst task")],
            )
        )
    return blocks


def _per_task(name: str, run: RunFolder) -> list[Block]:
    """Map task by step, for every metric that was logged per task."""
    groups: dict[str, dict[str, list[Point]]] = {}
    for task, score in run.tasks.items():
        metric = str(score["metric"])
        if points := _points(run, f"eval_{task}_{metric}"):
            groups.setdefault(metric, {})[task] = points
    blocks: list[Block] = []
    for metric, tasks in groups.items():
        if len(tasks) < 2:
            continue
        steps = sorted({step for points in tasks.values() for step, _ in points})
        values = [[dict(points).get(s) for s in steps] for points in tasks.values()]
        blocks.append(
            heat_map(
                f"Validation {metric} per task: {name}",
                f"Map of {metric}: {len(tasks)} tasks by {len(steps)} evaluations.",
                list(tasks),
                [str(step) for step in steps],
                values,
                of="Task",
                unit=metric,
                x="step",
            )
        )
    return blocks
