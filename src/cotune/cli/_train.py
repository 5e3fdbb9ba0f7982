"""``cotune train``."""

from typing import Annotated

import typer

from ._options import RecipeArgument, SetOption


def run_train(
    recipe: RecipeArgument,
    set_: SetOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted run, or start if there is none.",
        ),
    ] = False,
) -> None:
    """Train what a recipe says, score it, and say where the files lie."""
    from ..recipes import read_recipe, run_recipe
    from ..training import build_table
    from ._show import show

    read = read_recipe(recipe, set_ or [])
    if read.federated is not None:
        show("The section federated is left aside: `cotune federate` runs it.")
    result = run_recipe(read, resume=resume)
    show(build_table(result.evaluation), f"Everything lies in {result.folder}")
