"""One run of a comparison: train it, test it, or read what an earlier call left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from .._errors import ConfigError
from .._files import write_text
from ..data import METRICS, Task
from ._comparison import Cell
from ._open import OpenedBase, open_base, open_trained
from ._paired import Rows
from ._recipe import Recipe
from ._run import count_trained, run_recipe, time_training


def train_cell(arm: str, recipe: Recipe, tasks: Sequence[Task]) -> Cell:
    """Train one run, and score it on validation rows; or read it if it is finished.

    Args:
        arm: Name of the arm.
        recipe: Of the run.
        tasks: Its tasks, with validation rows.

    Returns:
        The run, without test rows. Also written to ``cell.json`` in its folder.

    Raises:
        ConfigError: Its folder holds a finished run of another recipe.
    """
    folder = Path(recipe.output_dir)
    found = _read_cell(folder / "cell.json", recipe)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    # Without test rows, runs are scored on validation rows.
    rows = [replace(task, test=None) for task in tasks]
    with quiet(folder / "train.log"):
        result = run_recipe(recipe, resume=True, tasks=rows)
    scores = [score.adapter for score in result.evaluation.tasks]
    cell = Cell(
        arm=arm,
        learning_rate=recipe.training.learning_rate,
        seed=recipe.training.seed,
        validation=fmean(score for score in scores if score is not None),
        parameters=count_trained(result),
        seconds=time_training(result),
        folder=str(folder),
    )
    if is_first():
        content = {"cell": asdict(cell), "recipe": recipe.model_dump(mode="json")}
        write_text(folder / "cell.json", json.dumps(content, indent=2) + "\n")
    return cell


def test_cell(recipe: Recipe, tasks: Sequence[Task]) -> Rows:
    """Score a finished run on test rows; or read the scores if they are there.

    Args:
        recipe: Of the run.
        tasks: Its tasks, with test rows.

    Returns:
        Task -> score of every row. Also written to ``test.json`` in its folder.
    """
    folder = Path(recipe.output_dir)
    path = folder / "test.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    rows: dict[str, list[float]] = {}
    groups = [[task] for task in tasks] if recipe.separate else [list(tasks)]
    for group in groups:
        with quiet():
            place = folder / group[0].name if recipe.separate else folder
            opened = open_trained(place, group)
        rows |= {task.name: _score_rows(opened, task) for task in group}
    if is_first():
        write_text(path, json.dumps(rows) + "\n")
    return rows


def test_base(recipe: Recipe, tasks: Sequence[Task]) -> Rows:
    """Score the base model, without an adapter, on test rows.

    Args:
        recipe: Which model.
        tasks: The tasks, with test rows.

    Returns:
        Task -> score of every row.
    """
    with quiet():
        opened = open_base(recipe, tasks)
    return {task.name: _score_rows(opened, task) for task in tasks}


@contextmanager
def quiet(log: Path | None = None) -> Iterator[None]:
    """Keep what training prints out of the way: dozens of runs would fill the screen.

    Args:
        log: File that it goes to, from the first process; None drops it.
    """
    from transformers.utils import logging

    path = Path(os.devnull) if log is None or not is_first() else log
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with path.open("w", encoding="utf-8") as file, redirect_stdout(file):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def is_first() -> bool:
    """Return whether this is the first process, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def _read_cell(path: Path, recipe: Recipe) -> Cell | None:
    if not path.is_file():
        return None
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found["recipe"] == recipe.model_dump(mode="json"):
        return Cell(**found["cell"])
    raise ConfigError(
        f"{path.parent}: must be of the same recipe, got a finished run of another "
        "one. Choose another output_dir, or delete it."
    )


def _score_rows(opened: OpenedBase, task: Task) -> list[float]:
    from ..training import predict

    model, spec = opened.model, opened.recipe.evaluation
    predictions, answers = predict(model, opened.base, task, part="test", spec=spec)
    metric = METRICS[task.spec.metric_name]
    if metric.reads == "loss":
        return metric.score_rows([one.loss for one in predictions], answers)
    return metric.score_rows([one.text for one in predictions], answers)
