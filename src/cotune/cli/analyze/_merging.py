"""``cotune analyze merging``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._options import SetOption
from ._options import DataOption, OutOption, PlotOption, RowsOption, SeedOption
from ._read import expand, join_overrides
from ._session import open_session
from ._show_result import hand_out

if TYPE_CHECKING:
    from ..._adapter import Adapter
    from ...analysis import Trial
    from ._wearing import Wearer


def run_merging(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Finished runs of one task each; a run with one adapter per task "
            "stands for all of them."
        ),
    ],
    operator: Annotated[
        list[str] | None,
        typer.Option(
            "--operator",
            "-o",
            help="Name of a merge operator, repeatable; else all, with their defaults.",
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(help="Weight of every adapter; else one over their number."),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of the result; else the largest.")
    ] = None,
    rows: RowsOption = None,
    seed: SeedOption = 0,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score runs of several tasks merged into one adapter."""
    from ...analysis import merging
    from ._wearing import open_wearer

    folders = expand(runs)
    wearer = open_wearer(folders, join_overrides(data, set_), rows=rows)
    adapters = _name_by_task(wearer)
    metric = f"{weight}-{rank}-{seed}"
    mark = wearer.fingerprint()
    with open_session("merging", runs[0], out, mark, metric) as session:
        found = merging(
            adapters,
            wearer.score_on,
            trials=_choose(operator),
            beside={"base model": lambda task: wearer.score_on(task, None)},
            weights=None if weight is None else [weight] * len(adapters),
            rank=rank,
            seed=seed,
            **session.options,
        )
    hand_out(found, session.out, plot)


def _name_by_task(wearer: Wearer) -> dict[str, Adapter]:
    from ..._adapter_file import read_adapter
    from ..._errors import ConfigError

    names = [task.name for task in wearer.tasks]
    if len(names) != len(wearer.folders):
        raise ConfigError(
            f"analyze merging: every run must be of one task, got {len(wearer.folders)}"
            f" runs of the tasks {', '.join(names)}. Train with separate=true."
        )
    adapters = [read_adapter(folder) for folder in wearer.folders]
    return dict(zip(names, adapters, strict=True))


def _choose(operators: list[str] | None) -> list[Trial] | None:
    from ..._errors import ConfigError, unknown_name
    from ...analysis import Trial
    from ...operators.merge import MERGE

    for name in operators or ():
        if name not in MERGE:
            raise ConfigError(unknown_name("merge operator", name, MERGE))
    return None if operators is None else [Trial(name) for name in operators]
