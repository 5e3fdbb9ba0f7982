"""``cotune compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from ._options import RecipeArgument, SetOption

RatesOption = Annotated[
    list[float] | None,
    typer.Option(
        "--learning-rate",
        "-l",
        min=0.0,
        help="One value of the grid, the same for every arm. Repeatable; default: the "
        "recipe's.",
    ),
]
SeedsOption = Annotated[
    list[int] | None,
    typer.Option("--seed", "-s", min=0, help="Repeatable; default: the recipe's."),
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", "-w", min=1, help="How many runs at a time."),
]


def run_compare(
    recipe: RecipeArgument,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="A method as the table has it, or separate: a LoRA per task. "
            "Repeatable.",
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="'NAME: KEY=VALUE ...'",
            help="Any other change to the recipe. Repeatable.",
        ),
    ] = None,
    learning_rate: RatesOption = None,
    seed: SeedsOption = None,
    workers: WorkersOption = 1,
    set_: SetOption = None,
) -> None:
    """Train several methods on the same data, tuned alike, and show who is best.

    Every arm has the same steps, and the same learning rates to choose from on
    validation rows. Finished runs are not run again.
    """
    from ..recipes import arm_of_method, compare, parse_arm, read_recipe
    from ._compare_table import build_compare_table, describe_winner
    from ._picture import draw_comparison
    from ._show import show

    read = read_recipe(recipe, set_ or [])
    arms = [arm_of_method(name, read) for name in method or []]
    arms += [parse_arm(text) for text in arm or []]
    found = compare(
        read,
        arms,
        learning_rates=learning_rate or [read.training.learning_rate],
        seeds=seed or [read.training.seed],
        workers=workers,
        report=show,
    )
    show(build_compare_table(found), describe_winner(found))
    picture = draw_comparison(found, found.folder / "comparison.png")
    show(f"Everything lies in {found.folder}" + ("" if picture else NO_PICTURE))


NO_PICTURE = '. No picture: matplotlib is missing. Run: pip install "cotune[plot]"'
