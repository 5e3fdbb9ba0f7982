"""``cotune check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ._options import RecipeArgument, SetOption

if TYPE_CHECKING:
    from ..data import Task


def run_check(
    recipe: RecipeArgument,
    set_: SetOption = None,
    data: Annotated[
        bool, typer.Option("--data/--no-data", help="Also read and check every row.")
    ] = True,
) -> None:
    """Check a recipe, and the rows of its tasks, without training."""
    from ..recipes import load_recipe_tasks, read_recipe
    from ._show import show

    read = read_recipe(recipe, set_ or [])
    if not data:
        show(f"{recipe}: the recipe is fine. Rows were not read.")
        return
    tasks = load_recipe_tasks(read)
    show(*(_describe(task) for task in tasks))
    show(f"{recipe}: the recipe and its {len(tasks)} tasks are fine.")


def _describe(task: Task) -> str:
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    rows = [f"{len(part)} {name}" for name, part in parts.items() if part is not None]
    left = f", {len(task.skipped)} bad rows left out" if task.skipped else ""
    return f"{task.name}: {task.spec.kind}, {', '.join(rows)}{left}"
