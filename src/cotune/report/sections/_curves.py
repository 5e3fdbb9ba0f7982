"""Loss, scores and learning rate over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._blocks import Block, Section
from .._charts import Point, step_chart
from .._numbers import as_number
from .._run_folder import RunFolder

_PLAIN = {
    "loss": ("Training loss", "loss in nats"),
    "eval_loss": ("Validation loss", "loss in nats"),
    "grad_norm": ("Gradient norm", "norm before clipping"),
    "learning_rate": ("Learning rate", "learning rate"),
}
_MEAN, _WORST = "eval_mean_", "eval_worst_"


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
        for run in runs:
            blocks += _of_parts(run, key)
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
    return {run.name: run for run in runs if run.history}


def _points(run: RunFolder, key: str) -> list[Point]:
    return [
        (entry["step"], value)
        for entry in run.history
        if "step" in entry and (value := as_number(entry.get(key))) is not None
    ]


def _plain(runs: Mapping[str, RunFolder], key: str) -> list[Block]:
    lines = {name: _points(run, key) for name, run in runs.items()}
    lines = {name: points for name, points in lines.items() if points}
    title, unit = _PLAIN[key]
    return [step_chart(title, lines, of="Run", unit=unit)] if lines else []


def _of_parts(run: RunFolder, key: str) -> list[Block]:
    """Draw the folders of tasks that were trained apart."""
    lines = {part.name: _points(part, key) for part in run.parts}
    lines = {name: points for name, points in lines.items() if points}
    title, unit = _PLAIN[key]
    title = f"{title} of each task: {run.name}"
    return [step_chart(title, lines, of="Task", unit=unit)] if lines else []


def _scores(logged: dict[str, RunFolder]) -> list[Block]:
    """Draw mean and worst task of every metric."""
    keys = dict.fromkeys(
        key
        for run in logged.values()
        for entry in run.history
        for key in entry
        if key.startswith((_MEAN, _WORST))
    )
    metrics = dict.fromkeys(
        key.removeprefix(_MEAN).removeprefix(_WORST) for key in keys
    )
    blocks: list[Block] = []
    for metric in metrics:
        lines: dict[str, list[Point]] = {}
        for name, run in logged.items():
            for prefix, word in ((_MEAN, "mean"), (_WORST, "worst task")):
                if points := _points(run, prefix + metric):
                    lines[f"{name}, {word}"] = points
        title = f"Validation {metric}, mean and worst task"
        blocks.append(step_chart(title, lines, of="Run", unit=metric))
    return blocks


def _per_task(name: str, run: RunFolder) -> list[Block]:
    """Map task by step, for every metric that was logged per task."""
    groups: dict[str, dict[str, list[Point]]] = {}
    for task, score in run.tasks.items():
        metric = str(score["metric"])
        if points := _points(run, f"eval_{task}_{metric}"):
            groups.setdefault(metric, {})[task] = points
    return [
        step_chart(
            f"Validation {metric} per task: {name}", tasks, of="Task", unit=metric
        )
        for metric, tasks in groups.items()
        if len(tasks) > 1
    ]
