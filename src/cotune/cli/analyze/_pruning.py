"""``cotune analyze pruning``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .._options import RunArgument, SetOption
from ._options import DataOption, OutOption, PlotOption, RowsOption, TasksOption
from ._read import join_overrides
from ._session import open_session
from ._show_result import hand_out

if TYPE_CHECKING:
    from ..._adapter import Adapter
    from ...analysis import PruneTrial


def run_pruning(
    run: RunArgument,
    operator: Annotated[
        list[str] | None,
        typer.Option(
            "--operator",
            "-o",
            help="Name of a prune operator, repeatable; else all that fit. magnitude "
            "is tried at sparsities 0.1 to 0.9.",
        ),
    ] = None,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score a run with parts of its adapter taken away."""
    from ..._adapter_file import read_adapter
    from ...analysis import pruning
    from ._wearing import open_wearer

    wearer = open_wearer([run], join_overrides(data, set_), rows=rows, tasks=task)
    adapter = read_adapter(wearer.folders[0])
    trials = _choose(adapter, operator)
    with open_session("pruning", run, out, wearer.fingerprint()) as session:
        found = pruning(
            adapter,
            wearer.score,
            trials=trials,
            base=lambda: wearer.score(None),
            **session.options,
        )
    hand_out(found, session.out, plot)


def _choose(adapter: Adapter, operators: list[str] | None) -> list[PruneTrial]:
    from ..._errors import ConfigError, unknown_name
    from ...analysis import default_trials
    from ...operators.prune import PRUNE

    trials = default_trials(adapter)
    if operators is None:
        return trials
    fitting = {trial.operator for trial in trials}
    for name in operators:
        if name not in PRUNE:
            raise ConfigError(unknown_name("prune operator", name, PRUNE))
        if name not in fitting:
            raise ConfigError(
                f"--operator: must fit this adapter and need no further options, got "
                f"{name!r}. These do: {', '.join(sorted(fitting))}."
            )
    return [trial for trial in trials if trial.operator in operators]
