"""Run a recipe: the one walk from YAML to a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from .._files import write_text
from ..data import Task, load_data
from ._recipe import Recipe

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from ..training import Evaluation, TrainingResult

FILE = "recipe.yaml"


@dataclass(frozen=True)
class SeparateResult:
    """What separate training left behind: one run folder per task.

    Args:
        folder: The folder that holds them all, with ``metrics.json`` of all tasks.
        runs: Task -> its own result.
        evaluation: All tasks together.
    """

    folder: Path
    runs: dict[str, TrainingResult]
    evaluation: Evaluation


def run_recipe(
    recipe: Recipe, *, resume: bool = False
) -> TrainingResult | SeparateResult:
    """Train what a recipe says, and write it, resolved, beside the results.

    Args:
        recipe: What to run.
        resume: Go on with an interrupted run in its folder, or start there.

    Returns:
        The result; one per task if the recipe trains them apart.

    Raises:
        ConfigError: Data, model or settings that do not fit; a folder in use.
    """
    tasks = load_data(recipe.data, seed=recipe.training.seed)
    folder = Path(recipe.output_dir)
    if not recipe.separate:
        return _train(recipe, tasks, folder, resume)
    from ..training import Evaluation

    runs = {
        task.name: _train(recipe, [task], folder / task.name, resume) for task in tasks
    }
    scores = [score for run in runs.values() for score in run.evaluation.tasks]
    together = Evaluation(tuple(scores))
    together.save(folder / "metrics.json")
    _write_recipe(recipe, folder)
    return SeparateResult(folder, runs, together)


def _train(
    recipe: Recipe, tasks: Sequence[Task], folder: Path, resume: bool
) -> TrainingResult:
    from ..training import run_training

    config = recipe.adapter.build([task.name for task in tasks])  # type: ignore[attr-defined]
    result = run_training(
        recipe.base,
        tasks,
        config,
        recipe.training,
        folder,
        mixture=recipe.data.mixture,
        encode=recipe.data.encode,
        evaluation=recipe.evaluation,
        resume=resume,
        callbacks=_callbacks(recipe),
    )
    _write_recipe(recipe, folder)
    return result


def _callbacks(recipe: Recipe) -> list[TrainerCallback]:
    if recipe.schedule is None:
        return []
    from ..schedules import CoToCallback

    schedule = recipe.schedule.build(seed=recipe.training.seed)
    return [CoToCallback(schedule=schedule)]


def _write_recipe(recipe: Recipe, folder: Path) -> None:
    packages = ("cotune", "torch", "transformers", "peft")
    versions = {name: version(name) for name in packages}
    resolved = recipe.model_copy(update={"versions": versions})
    text = yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False)
    write_text(folder / FILE, text)
