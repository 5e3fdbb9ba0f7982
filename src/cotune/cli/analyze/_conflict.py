"""``cotune analyze conflict``."""

from __future__ import annotations

from typing import Annotated

import typer

from .._options import RunArgument, SetOption
from ._options import DataOption, FactorOption, OutOption, PlotOption
from ._read import adapter_digest, join_overrides, place_of
from ._show_result import hand_out


def run_conflict(
    run: RunArgument,
    factor: FactorOption = "B",
    rows: Annotated[int, typer.Option(min=1, help="Training rows per task.")] = 128,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Compare the gradients of a run's tasks on a factor that they share."""
    from ..._errors import ConfigError
    from ...adapters import explain_model
    from ...analysis import conflict
    from ...recipes import open_run
    from ._gradients import keep_beside, show_gradients, task_gradients

    opened = open_run(run, join_overrides(data, set_))
    lines = explain_model(opened.model)
    shared = sorted({line.factor for line in lines if line.owner == "shared"})
    if factor not in ("A", "B") or factor not in shared:
        raise ConfigError(
            f"--factor: must be a factor that the tasks share, got {factor!r}. This "
            f"adapter shares {', '.join(shared) or 'none'}."
        )
    out = out or place_of(run, "conflict")
    mark = adapter_digest(run / "adapter")
    says = opened.recipe.model_dump_json()
    keep = keep_beside(out, opened.tasks, rows, mark, says, factor)
    with show_gradients(keep) as progress:
        gradients = task_gradients(
            opened.model,
            opened.base,
            opened.tasks,
            factor=factor,
            rows=rows,
            batch_size=opened.recipe.evaluation.batch_size,
            keep=keep,
            progress=progress,
        )
    hand_out(conflict(gradients), out, plot)
