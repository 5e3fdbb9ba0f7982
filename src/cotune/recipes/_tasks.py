"""The tasks of a recipe, also where their rows are generated first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .._registry import Registry
from ..data import DataSpec, Task, TaskSpec, list_tasks, load_data
from ._recipe import Recipe

GENERATED: Registry[Callable[[Path], object]] = Registry(
    "generated data", {"embedded": "cotune.embedded:write_tasks"}
)
"""Value of ``data.root`` -> function that writes tasks into a folder, always alike."""


def list_recipe_tasks(recipe: Recipe) -> list[TaskSpec]:
    """List the tasks of a recipe. Rows are not checked.

    Args:
        recipe: The recipe.

    Returns:
        The tasks in the order of the run, with the section's limits and rules.

    Raises:
        ConfigError: No task, names that repeat, or a folder that cannot be used.
    """
    with _open_root(recipe.data) as data:
        return list_tasks(data)


def load_recipe_tasks(recipe: Recipe) -> list[Task]:
    """Read and check the rows of all tasks of a recipe.

    Args:
        recipe: The recipe; its training seed decides which rows are drawn.

    Returns:
        The tasks in the order of the run.

    Raises:
        ConfigError: Tasks that cannot be found, or rows that cannot be used.
    """
    with _open_root(recipe.data) as data:
        return load_data(data, seed=recipe.training.seed)


@contextmanager
def _open_root(data: DataSpec) -> Iterator[DataSpec]:
    if data.root not in GENERATED:
        yield data
        return
    # Rows are held in memory once read, so nothing has to stay on disk.
    with TemporaryDirectory(prefix="cotune-") as folder:
        GENERATED[str(data.root)](Path(folder))
        yield data.model_copy(update={"root": folder})
