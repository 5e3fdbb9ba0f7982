"""Run a recipe: the one walk from YAML to a run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..data import Task
from ._recipe import Recipe
from ._tasks import load_recipe_tasks
from ._whole import resolve_recipe, single_out, with_whole_paths

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from ..training import Evaluation, TrainingResult


@dataclass(frozen=True)
class SeparateResult:
    """What separate training left behind: one run folder per task.

    Args:
        folder: The folder that holds them all, with ``metrics.json`` of all tasks.
        folders: Task -> its run folder.
        evaluation: All tasks together.
        parameters: Numbers trained, over all adapters.
        seconds: Wall time of training, over all adapters.
    """

    folder: Path
    folders: Mapping[str, Path]
    evaluation: Evaluation
    parameters: int
    seconds: float


def run_recipe(
    recipe: Recipe, *, resume: bool = False, tasks: Sequence[Task] | None = None
) -> TrainingResult | SeparateResult:
    """Train what a recipe says, and write it, resolved, beside the results.

    Args:
        recipe: What to run.
        resume: Go on with an interrupted run in its folder, or start there.
        tasks: Its tasks with their rows, if they are at hand; None reads them.

    Returns:
        The result; one over all tasks if the recipe trains them apart.

    Raises:
        ConfigError: Data, model or settings that do not fit; a folder in use.
    """
    recipe = with_whole_paths(recipe)
    tasks = load_recipe_tasks(recipe) if tasks is None else tasks
    if recipe.separate:
        return _train_apart(recipe, tasks, resume)
    return _train(recipe, tasks, resume)


def count_trained(result: TrainingResult | SeparateResult) -> int:
    """Return how many numbers a run trained.

    Args:
        result: Of :func:`run_recipe`.
    """
    if isinstance(result, SeparateResult):
        return result.parameters
    return sum(p.numel() for p in result.model.parameters() if p.requires_grad)


def time_training(result: TrainingResult | SeparateResult) -> float:
    """Return the wall time of training in seconds; of a resumed run, since then.

    Args:
        result: Of :func:`run_recipe`.
    """
    if isinstance(result, SeparateResult):
        return result.seconds
    found = [entry.get("train_runtime") for entry in result.log_history]
    return sum(float(seconds) for seconds in found if seconds is not None)


def _train_apart(recipe: Recipe, tasks: Sequence[Task], resume: bool) -> SeparateResult:
    from ..training import Evaluation
    from ._record import write_recipe

    folders: dict[str, Path] = {}
    scores, parameters, seconds = [], 0, 0.0
    for task in tasks:
        result = _train(single_out(recipe, task.spec), [task], resume)
        folders[task.name] = result.folder
        scores += result.evaluation.tasks
        parameters += count_trained(result)
        seconds += time_training(result)
    together, folder = Evaluation(tuple(scores)), Path(recipe.output_dir)
    if int(os.environ.get("RANK", "0")) == 0:
        together.save(folder / "metrics.json")
        write_recipe(resolve_recipe(recipe, list(folders)), folder)
    return SeparateResult(folder, folders, together, parameters, seconds)


def _train(recipe: Recipe, tasks: Sequence[Task], resume: bool) -> TrainingResult:
    from ..training import run_training

    names = [task.name for task in tasks]
    return run_training(
        recipe.base,
        tasks,
        None if recipe.adapter is None else recipe.adapter.build(names),
        recipe.training,
        recipe.output_dir,
        mixture=recipe.data.mixture,
        encode=recipe.data.encode,
        evaluation=recipe.evaluation,
        resume=resume,
        callbacks=_callbacks(recipe, names),
    )


def _callbacks(recipe: Recipe, names: Sequence[str]) -> list[TrainerCallback]:
    from ._record import RecipeWriter

    folder = Path(recipe.output_dir)
    writer = RecipeWriter(resolve_recipe(recipe, names), folder)
    if recipe.schedule is None:
        return [writer]
    from ..schedules import CoToCallback

    schedule = recipe.schedule.build(seed=recipe.training.seed)
    return [writer, CoToCallback(schedule, save_to=folder / "schedule.json")]
