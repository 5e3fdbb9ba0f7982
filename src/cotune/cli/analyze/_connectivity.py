"""``cotune analyze connectivity``."""

from __future__ import annotations

from typing import Annotated

import typer

from .._options import SetOption, adapter_folder
from ._options import (
    DataOption,
    OutOption,
    PlotOption,
    RowsOption,
    RunsArgument,
    TasksOption,
)
from ._read import open_scorer, read_all
from ._session import open_session
from ._show_result import hand_out


def run_connectivity(
    runs: RunsArgument,
    grid: Annotated[int, typer.Option(min=3, help="Points from end to end.")] = 11,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score the averages of runs of one recipe with different seeds."""
    from ...analysis import connectivity

    adapters = read_all(runs)
    scorer = open_scorer(runs[0], rows, task, data, set_)
    mark = scorer.fingerprint([adapter_folder(run) for run in runs])
    steps = [number / (grid - 1) for number in range(grid)]
    with open_session("connectivity", runs[0], out, mark) as session:
        loss = scorer.loss if scorer.has_loss else None
        found = connectivity(
            adapters, scorer.score, loss=loss, grid=steps, **session.options
        )
    hand_out(found, session.out, plot)
