"""``cotune analyze sharing``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._options import SetOption
from ._options import DataOption, OutOption, PlotOption, SeedOption
from ._read import expand, join_overrides, read_all
from ._reading import show_reading
from ._show_result import hand_out

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ...recipes import Recipe

FROM_SHORT_RUNS = (
    "These are updates. If A hardly turned in training, its space is still that of its "
    "start: then compare gradients, with a recipe in place of adapters."
)


def run_sharing(
    what: Annotated[
        list[str],
        typer.Argument(
            help="One recipe (or run): gradients at the base model are compared, "
            "without training. Or adapters, one per task or client, from long runs."
        ),
    ],
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of the shared factor.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Training rows per task.")] = 128,
    seed: SeedOption = 0,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Say which factor tasks or clients should share, with numbers."""
    import torch

    from ...analysis import sharing, sharing_from_gradients
    from ...recipes import read_recipe

    dice = torch.Generator().manual_seed(seed)
    found_adapters = expand([Path(each) for each in what])
    if len(found_adapters) > 1:
        with show_reading(read_all(found_adapters)) as adapters:
            found = sharing(adapters, rank=rank, generator=dice)
    else:
        recipe = read_recipe(what[0], join_overrides(data, set_))
        sides = gradients_on_both(recipe, rows, out, dice)
        found = sharing_from_gradients(*sides, rank=rank, generator=dice)
    hand_out(found, out, plot)
    if found.source == "updates":
        typer.echo(FROM_SHORT_RUNS)


def gradients_on_both(
    recipe: Recipe, rows: int, out: Path | None, dice: torch.Generator
) -> tuple[Any, Any]:
    """Return gradients of A at A = 0 and of B at B = 0, of plain LoRA.

    Args:
        recipe: Whose base, tasks, rank and target modules are taken.
        rows: Most training rows of each task.
        out: The JSON file that will be written; finished tasks are kept beside it.
        dice: Draws the factor that is not at zero, the same for all tasks.
    """
    from ...recipes import load_recipe_tasks, open_base
    from ._gradients import adapt_plain, keep_beside, show_gradients, task_gradients

    tasks = load_recipe_tasks(recipe)
    opened = open_base(recipe, tasks)
    model = adapt_plain(recipe, opened.base)
    start, found = dice.initial_seed(), []
    for factor in ("A", "B"):
        put_at_zero(model, factor, dice)
        keep = None
        if out is not None:
            says = (recipe.model_dump_json(), "sharing", factor, str(start))
            keep = keep_beside(out, tasks, rows, *says)
        with show_gradients(keep) as progress:
            own = task_gradients(
                model,
                opened.base,
                tasks,
                factor=factor,
                rows=rows,
                batch_size=recipe.evaluation.batch_size,
                keep=keep,
                progress=progress,
            )
        found.append({t: {n: g[0] for n, g in one.items()} for t, one in own.items()})
    return found[0], found[1]


def put_at_zero(model: nn.Module, factor: str, dice: torch.Generator) -> None:
    """Set a factor of every layer to zero and draw the other, N(0, 1).

    Unit variance on both sides, so that a layer weighs as much in A as in B.

    Args:
        model: A model with a cotune adapter; it is changed, and equals its base then.
        factor: ``A`` or ``B``.
        dice: Draws the other factor.
    """
    import torch

    from ...adapters import CollaborativeLayer

    other = "B" if factor == "A" else "A"
    for module in model.modules():
        if isinstance(module, CollaborativeLayer):
            banks: dict[str, Tensor] = {
                name: getattr(module, f"cotune_{name}")["default"] for name in "AB"
            }
            drawn = torch.randn(banks[other].shape, generator=dice)
            with torch.no_grad():
                banks[factor].zero_()
                banks[other].copy_(drawn)
