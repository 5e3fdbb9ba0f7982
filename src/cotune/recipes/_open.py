"""Open a finished run again: its folder is all that later commands need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from ..data import Task, load_data
from ._read import read_recipe
from ._recipe import Recipe
from ._run import FILE

if TYPE_CHECKING:
    from peft import PeftModel

    from ..training import Base


@dataclass(frozen=True)
class OpenedRun:
    """A finished run, loaded.

    Args:
        recipe: What was run.
        tasks: Its tasks; empty if they were not asked for.
        base: The base model and its tokenizer.
        model: The base with the trained adapter, in evaluation mode.
    """

    recipe: Recipe
    tasks: tuple[Task, ...]
    base: Base
    model: PeftModel


def open_run(
    folder: str | Path, overrides: tuple[str, ...] = (), *, with_data: bool = True
) -> OpenedRun:
    """Load the base model, the adapter and the tasks of a run.

    Args:
        folder: Run folder.
        overrides: Changes to its recipe, e.g. ``data.root=elsewhere``.
        with_data: Also read the rows of the tasks. Classifiers always need them.

    Returns:
        The run.

    Raises:
        ConfigError: No run, or it cannot be loaded.
    """
    from .._load import load_adapter
    from ..training import load_base

    folder = Path(folder)
    recipe = read_run_recipe(folder, overrides)
    needs_rows = with_data or recipe.base.kind == "classifier"
    tasks = tuple(load_data(recipe.data, seed=recipe.training.seed)) if needs_rows else ()
    adapter = folder / "adapter"
    names = list(_bank_tasks(adapter) or [task.name for task in tasks])
    base = load_base(recipe.base, tasks, encode=recipe.data.encode, names=names)
    return OpenedRun(recipe, tasks, base, load_adapter(base.model, adapter).eval())


def read_run_recipe(folder: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read the resolved recipe of a run.

    Raises:
        ConfigError: The folder holds no run, or one with an adapter per task.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(
            f"{folder}: must be the folder of a finished run, got one without {FILE}. "
            "Pass the output_dir of `cotune train`."
        )
    recipe = read_recipe(path, list(overrides))
    if recipe.separate and not (folder / "adapter").is_dir():
        apart = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        raise ConfigError(
            f"{folder}: must hold one adapter, got a run with one per task. "
            f"Pass one of its folders: {apart}."
        )
    return recipe


def _bank_tasks(adapter: Path) -> list[str]:
    from .._adapter_file import read_config

    config: Mapping[str, Any] = read_config(adapter)
    return list(config.get("tasks") or ())
