"""``cotune analyze contribution``."""

from __future__ import annotations

from typing import Annotated

import typer

from .._options import RunArgument, SetOption
from ._options import (
    ByOption,
    DataOption,
    OutOption,
    PlotOption,
    RowsOption,
    SeedOption,
    TasksOption,
)
from ._read import build_game, open_scorer
from ._session import open_session
from ._show_result import hand_out


def run_contribution(
    run: RunArgument,
    by: ByOption = "block",
    method: Annotated[
        str | None,
        typer.Option(help="exact, quadrature or antithetic; else by the cost."),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, help="Random sets, n + 1 evaluations each.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="loss: minus the mean loss. score: the task's metric.")
    ] = "loss",
    seed: SeedOption = 0,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Share what a run gained among its layers: Shapley values."""
    import torch

    from ..._errors import ConfigError, unknown_name
    from ...analysis import contribution

    if metric not in ("loss", "score"):
        raise ConfigError(unknown_name("metric", metric, ("loss", "score")))
    scorer = open_scorer(run, rows, task, data, set_)
    value, groups = build_game(scorer, by, metric)
    mark = scorer.fingerprint([run / "adapter"])
    with open_session("contribution", run, out, mark, metric) as session:
        found = contribution(
            value,
            groups,
            method=method,
            draws=draws,
            generator=torch.Generator().manual_seed(seed),
            **session.options,
        )
    hand_out(found, session.out, plot)
