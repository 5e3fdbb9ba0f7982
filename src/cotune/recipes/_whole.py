"""A recipe that means the same wherever it is read: whole paths, no gaps."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ..data import DataSpec, TaskSpec
from ._recipe import Recipe
from ._tasks import GENERATED

_PACKAGES = ("cotune", "torch", "transformers", "peft", "accelerate", "datasets")


def with_whole_paths(recipe: Recipe) -> Recipe:
    """Return a recipe whose paths no longer start at the current folder.

    Args:
        recipe: As read. Not changed.
    """
    base = recipe.base
    if Path(base.name).expanduser().is_dir() and base.name != "embedded":
        base = base.model_copy(update={"name": _whole(base.name)})
    data = recipe.data
    if data.root not in GENERATED and (data.root or _has_paths(data)):
        data = data.model_copy(update={"root": _whole(data.root or ".")})
    changed = {"base": base, "data": data, "output_dir": _whole(recipe.output_dir)}
    return recipe.model_copy(update=changed)


def resolve_recipe(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """Return a recipe that alone repeats its run, with the versions of this one.

    Args:
        recipe: What is run. Not changed.
        names: Its tasks, in the order of the run.

    Returns:
        The recipe with whole paths and every field of the adapter filled in.
    """
    adapter = recipe.adapter
    changed = {
        "adapter": None if adapter is None else adapter.resolve(names),
        "versions": {name: version(name) for name in _PACKAGES},
    }
    return with_whole_paths(recipe).model_copy(update=changed)


def single_out(recipe: Recipe, task: TaskSpec) -> Recipe:
    """Return the recipe of one task's own run, as part of a separate training.

    Args:
        recipe: Trains all tasks, each alone. Not changed.
        task: The one to train, with the section's limits filled in.

    Returns:
        A recipe of that task only; its run lies in a folder named after the task.
    """
    data = recipe.data.model_copy(update={"folders": (), "tasks": (task,)})
    adapter = recipe.adapter
    if adapter is not None:
        adapter = adapter.model_copy(update={"tasks": None, "default_task": None})
    changed = {
        "data": data,
        "adapter": adapter,
        "separate": False,
        "output_dir": str(Path(recipe.output_dir) / task.name),
    }
    return recipe.model_copy(update=changed)


def _whole(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _has_paths(data: DataSpec) -> bool:
    return bool(data.folders) or any(task.source.hub is None for task in data.tasks)
