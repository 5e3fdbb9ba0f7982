"""``cotune analyze affinity``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .._options import SetOption
from ._options import DataOption, OutOption, PlotOption
from ._read import expand, join_overrides, read_all
from ._session import show_progress
from ._show_result import hand_out


def run_affinity(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Adapters, one per task, from short runs with one seed. Or one recipe "
            "(or run): then gradients at the start are compared, without training."
        ),
    ],
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of the shared pair A, B.")
    ] = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="How many groups; else by silhouette.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Training rows per task.")] = 128,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Say which tasks to train together and which to keep apart, with numbers."""
    from ...analysis import affinity, affinity_from_gradients

    found_adapters = expand([Path(each) for each in what])
    if len(found_adapters) > 1:
        adapters = read_all(found_adapters)
        with show_progress("layers") as progress:
            found = affinity(adapters, rank=rank, groups=groups, progress=progress)
    else:
        overrides = join_overrides(data, set_)
        gradients = _gradients_at_start(what[0], rows, overrides, out)
        found = affinity_from_gradients(gradients, rank=rank, groups=groups)
    hand_out(found, out, plot)
    for line in found.advice():
        typer.echo(line)


def _gradients_at_start(
    recipe: str, rows: int, overrides: Sequence[str], out: Path | None
) -> Any:
    """Return gradients of B of plain LoRA, whatever the method of the recipe."""
    import torch

    from ...recipes import load_recipe_tasks, open_base, read_recipe
    from ._gradients import adapt_plain, keep_beside, show_gradients, task_gradients

    read = read_recipe(recipe, overrides)
    tasks = load_recipe_tasks(read)
    opened = open_base(read, tasks)
    torch.manual_seed(read.training.seed)
    model = adapt_plain(read, opened.base)
    keep = None
    if out is not None:
        keep = keep_beside(out, tasks, rows, read.model_dump_json())
    with show_gradients(keep) as progress:
        found = task_gradients(
            model,
            opened.base,
            tasks,
            factor="B",
            rows=rows,
            batch_size=read.evaluation.batch_size,
            keep=keep,
            progress=progress,
        )
    return {
        task: {layer: gradient[0] for layer, gradient in own.items()}
        for task, own in found.items()
    }
