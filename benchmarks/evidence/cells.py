"""One training run of the evidence: made once, then read by every line that needs it.

A cell is a resolved recipe. Its folder in the cache is named after a digest of what it
does, so lines that ask for the same run share it, and an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.evidence.files import write
from cotune.data import METRICS, Task
from cotune.recipes import (
    OpenedBase,
    Recipe,
    check_recipe,
    count_trained,
    load_recipe_tasks,
    open_base,
    open_trained,
    run_recipe,
    time_training,
)
from cotune.training import predict

Rows = Mapping[str, Sequence[float]]
"""Task -> score of every test row."""


@dataclass(frozen=True)
class Cell:
    """What one run left behind.

    Args:
        validation: Mean score on validation rows; None if there are none.
        parameters: Numbers trained, over all its adapters.
        seconds: Wall time of training.
    """

    validation: float | None
    parameters: int
    seconds: float


def digest(recipe: Recipe) -> str:
    """Name a run by what it does, not by where it lies."""
    # Without defaults, so that a field that recipes get later changes no name.
    said = recipe.model_dump(mode="json", exclude_defaults=True)
    for name in ("output_dir", "description", "versions"):
        said.pop(name, None)
    return _digest(said)


def _digest(said: dict[str, Any]) -> str:
    # The same rows lie elsewhere on another machine.
    said["data"].pop("root", None)
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def place(recipe: Recipe, cache: Path) -> Recipe:
    """Return the recipe with its folder in the cache."""
    return recipe.model_copy(update={"output_dir": str(cache / digest(recipe))})


def train(recipe: Recipe) -> Cell:
    """Train a run, or read it if it is finished."""
    folder = Path(recipe.output_dir)
    return Cell(**_once(folder / "cell.json", lambda: asdict(_train(recipe))))


def score(recipe: Recipe) -> Rows:
    """Score a finished run on test rows, or read the scores."""
    folder = Path(recipe.output_dir)
    return _once(folder / "test.json", lambda: _score(recipe))


def score_base(recipe: Recipe, cache: Path) -> Rows:
    """Score the untouched base model on the test rows of a recipe."""
    data = recipe.data
    limits = data.limits.model_copy(update={"train_rows": None})
    # Training rows make no difference to the base.
    data = data.model_copy(update={"limits": limits, "validation_share": 0.0})
    alike = recipe.model_copy(update={"data": data})
    said = alike.model_dump(
        mode="json", include={"base", "data"}, exclude_defaults=True
    )
    path = cache / f"base-{_digest(said)}" / "test.json"
    return _once(path, lambda: _score_base(recipe))


def score_rows(opened: OpenedBase, task: Task) -> list[float]:
    """Score every test row of a task with the model as it is."""
    spec = opened.recipe.evaluation
    predictions, answers = predict(
        opened.model, opened.base, task, part="test", spec=spec
    )
    metric = METRICS[task.spec.metric_name]
    return metric.score_rows([one.text for one in predictions], answers)


def run_all(
    jobs: Sequence[Recipe],
    work: Callable[[Recipe], Any],
    *,
    workers: int,
    report: Callable[[str], None],
) -> list[Any]:
    """Do one thing with every recipe, in their order or in several processes."""
    if workers == 1:
        found = []
        for number, job in enumerate(jobs, start=1):
            found.append(work(job))
            report(f"{work.__name__} {number} of {len(jobs)}: {_title(job)}")
        return found
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        texts = [job.model_dump_json() for job in jobs]
        return list(pool.map(_in_worker, [work.__name__] * len(jobs), texts))


def _in_worker(name: str, text: str) -> Any:
    import torch

    # One thread each: the workers are as many as the cores that are free.
    torch.set_num_threads(1)
    return {"train": train, "score": score}[name](check_recipe(json.loads(text)))


def _once(path: Path, make: Callable[[], Any]) -> Any:
    """Read a JSON file, or make its content and write it in one move."""
    if not path.is_file():
        write(path, json.dumps(make(), indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def _train(recipe: Recipe) -> Cell:
    folder = Path(recipe.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # Without test rows, a run is scored on validation rows, if there are any.
    tasks = [replace(task, test=None) for task in load_recipe_tasks(recipe)]
    with (folder / "train.log").open("w", encoding="utf-8") as log:
        with redirect_stdout(log):
            result = run_recipe(recipe, resume=True, tasks=tasks)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    scores = [one.adapter for one in result.evaluation.tasks]
    known = [one for one in scores if one is not None]
    return Cell(
        validation=fmean(known) if known else None,
        parameters=count_trained(result),
        seconds=time_training(result),
    )


def _score(recipe: Recipe) -> Rows:
    folder, rows = Path(recipe.output_dir), {}
    tasks = load_recipe_tasks(recipe)
    for group in [[task] for task in tasks] if recipe.separate else [tasks]:
        where = folder / group[0].name if recipe.separate else folder
        opened = open_trained(where, group)
        rows |= {task.name: score_rows(opened, task) for task in group}
    return rows


def _score_base(recipe: Recipe) -> Rows:
    tasks = load_recipe_tasks(recipe)
    opened = open_base(recipe, tasks)
    return {task.name: score_rows(opened, task) for task in tasks}


def _title(recipe: Recipe) -> str:
    adapter, training = recipe.adapter, recipe.training
    rate = f"learning rate {training.learning_rate:g}"
    method = "whole model" if adapter is None else adapter.method
    return f"{method}, {rate}, seed {training.seed} ({digest(recipe)})"
