"""Open a finished run again: its folder is all that later commands need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from .._adapter_file import read_config
from .._errors import ConfigError, unknown_name
from ..data import Task
from ._read import read_recipe
from ._recipe import Recipe
from ._tasks import load_recipe_tasks

if TYPE_CHECKING:
    from peft import PeftModel

    from ..training import Base


MODEL = "model"
"""Where a run without an adapter leaves its model."""


@dataclass(frozen=True)
class OpenedBase:
    """The base model of a recipe, loaded.

    Args:
        recipe: Where it is named.
        base: The base model and its tokenizer.
        model: The model to call, in evaluation mode.
    """

    recipe: Recipe
    base: Base
    model: nn.Module


@dataclass(frozen=True)
class OpenedRun(OpenedBase):
    """A finished run, loaded.

    Args:
        recipe: What was run.
        base: The base model and its tokenizer.
        model: The base with the trained adapter, in evaluation mode.
        tasks: Its tasks; empty if they were not asked for.
        names: The tasks of its adapter, in the order of the bank.
    """

    model: PeftModel
    tasks: tuple[Task, ...]
    names: tuple[str, ...]

    def choose_task(self, task: str | None) -> str | None:
        """Choose whose update is meant.

        Args:
            task: A name; None takes the default task.

        Returns:
            The name; None if the adapter computes all tasks alike.

        Raises:
            ConfigError: Unknown, or not given where it is needed.
        """
        from ..adapters import has_task_parts

        self.check_task(task)
        config = self.model.peft_config["default"].to_dict()
        chosen = task or config.get("default_task")
        if chosen is None and has_task_parts(config):
            raise ConfigError(
                "task: this adapter has parts of its own per task, so one must be "
                f"named, got none. Pass --task with one of {', '.join(self.names)}."
            )
        return chosen

    def check_task(self, task: str | None) -> None:
        """Refuse a task that the adapter does not know.

        Args:
            task: A name; None is fine.

        Raises:
            ConfigError: Unknown; the message shows the nearest names.
        """
        if task is not None and task not in self.names:
            raise ConfigError(unknown_name("task", task, self.names))


def open_run(
    folder: str | Path,
    overrides: Sequence[str] = (),
    *,
    with_data: bool = True,
    tasks: Sequence[Task] | None = None,
) -> OpenedRun:
    """Load the base model, the adapter and the tasks of a run.

    Args:
        folder: Run folder.
        overrides: Changes to its recipe, e.g. ``data.root=elsewhere``.
        with_data: Also read the rows of the tasks. Classifiers always need them.
        tasks: The tasks, if they are at hand; None reads them.

    Returns:
        The run, on the device that a training would take.

    Raises:
        ConfigError: No run, or it cannot be loaded.
    """
    from .._load import load_adapter
    from ..training import load_base

    folder = Path(folder)
    recipe = read_run_recipe(folder, overrides)
    if tasks is None:
        needed = with_data or recipe.base.kind == "classifier"
        tasks = load_recipe_tasks(recipe) if needed else []
    adapter = folder / "adapter"
    names = tuple(read_config(adapter).get("tasks") or [task.name for task in tasks])
    base = load_base(recipe.base, tasks, encode=recipe.data.encode, names=names)
    model = load_adapter(base.model, adapter).eval()
    _place(model, recipe)
    return OpenedRun(recipe, base, model, tuple(tasks), names)


def open_trained(folder: str | Path, tasks: Sequence[Task]) -> OpenedBase:
    """Load what a run trained: the base with its adapter, or the whole model.

    Args:
        folder: Run folder.
        tasks: Its tasks.

    Returns:
        The model to score, on the device that a training would take.

    Raises:
        ConfigError: No run, or it cannot be loaded.
    """
    folder = Path(folder)
    if not (folder / MODEL).is_dir():
        return open_run(folder, tasks=tasks)
    recipe = read_recipe(folder / "recipe.yaml")
    base = recipe.base.model_copy(update={"name": str(folder / MODEL)})
    return open_base(recipe.model_copy(update={"base": base}), tasks)


def open_base(recipe: Recipe, tasks: Sequence[Task]) -> OpenedBase:
    """Load the base model of a recipe, without an adapter.

    Args:
        recipe: Which model.
        tasks: The tasks that it will be asked about.

    Returns:
        The base, on the device that a training would take.

    Raises:
        ConfigError: It cannot be loaded.
    """
    from ..training import load_base

    base = load_base(recipe.base, tasks, encode=recipe.data.encode)
    _place(base.model, recipe)
    return OpenedBase(recipe, base, base.model)


def read_run_recipe(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the resolved recipe of a run.

    Args:
        folder: Run folder.
        overrides: Changes to it.

    Returns:
        The recipe.

    Raises:
        ConfigError: The folder holds no finished run, or one with an adapter per task.
    """
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise ConfigError(
            f"{folder}: must be the folder of a finished run, got "
            f"{'one without recipe.yaml' if folder.is_dir() else 'no such folder'}. "
            "Pass the output_dir of `cotune train`."
        )
    recipe = read_recipe(path, overrides)
    if (folder / MODEL).is_dir():
        raise ConfigError(
            f"{folder}: must hold an adapter, got a run that trained the whole model. "
            f"It lies in {folder / MODEL}; pass that as base.name."
        )
    if not (folder / "adapter").is_dir():
        apart = sorted(p.parent.name for p in folder.glob("*/adapter"))
        raise ConfigError(
            f"{folder}: must hold one adapter, got "
            + (
                f"a run with one per task. Pass one of its folders: {', '.join(apart)}."
                if apart
                else "an unfinished run. Train it to the end with --resume."
            )
        )
    return recipe


def _place(model: nn.Module, recipe: Recipe) -> None:
    """Move a model to where the Trainer would.

    Under torchrun this also joins the processes, so that each scores its share.
    """
    from accelerate import PartialState

    state = PartialState(cpu=recipe.training.use_cpu)
    if recipe.base.device_map is None and recipe.base.quantization is None:
        model.to(state.device)
