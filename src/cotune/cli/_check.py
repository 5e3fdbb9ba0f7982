"""``cotune check``."""

from typing import Annotated

import typer

from ._options import RecipeArgument, SetOption


def run_check(
    recipe: RecipeArgument,
    set_: SetOption = None,
    data: Annotated[bool, typer.Option(help="Also read and check every row.")] = True,
) -> None:
    """Check a recipe, and the rows of its tasks, without training."""
    from rich import print as show

    from ..data import list_tasks, load_data
    from ..recipes import read_recipe

    read = read_recipe(recipe, set_ or [])
    if not data:
        show(f"{recipe}: the recipe is fine. Rows were not read.")
        return
    tasks = load_data(read.data, seed=read.training.seed)
    for task in tasks:
        parts = {"validation": task.validation, "test": task.test}
        rows = [f"{len(task.train)} train"]
        rows += [f"{len(part)} {name}" for name, part in parts.items() if part]
        left = f", {len(task.skipped)} bad rows left out" if task.skipped else ""
        show(f"{task.name}: {task.spec.kind}, {', '.join(rows)}{left}")
    show(f"{recipe}: the recipe and {len(list_tasks(read.data))} tasks are fine.")
