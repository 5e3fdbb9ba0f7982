"""``cotune analyze stability``."""

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


def run_stability(
    run: RunArgument,
    by: ByOption = "block",
    draws: Annotated[int, typer.Option(min=2, help="Sets per probability.")] = 32,
    seed: SeedOption = 0,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score a run with every group of adapters on with probability q."""
    import torch

    from ...analysis import stability

    scorer = open_scorer(run, rows, task, data, set_)
    value, groups = build_game(scorer, by, "score")
    mark = scorer.fingerprint([run / "adapter"])
    with open_session("stability", run, out, mark, "score") as session:
        found = stability(
            value,
            groups,
            draws=draws,
            generator=torch.Generator().manual_seed(seed),
            **session.options,
        )
    hand_out(found, session.out, plot)
