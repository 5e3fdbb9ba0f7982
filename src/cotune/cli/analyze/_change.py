"""``cotune analyze change``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._options import adapter_folder
from ._options import FactorOption, OutOption, PlotOption
from ._reading import show_reading
from ._show_result import hand_out


def run_change(
    start: Annotated[Path, typer.Argument(help="Adapter folder of an earlier state.")],
    adapter: Annotated[Path, typer.Argument(help="Adapter folder, or a run.")],
    factor: FactorOption = "A",
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Measure how far training moved a factor, in angle and in length."""
    from ..._adapter_file import read_adapter
    from ...analysis import change_from_start

    paths = {"start": start, "now": adapter}
    states = {name: read_adapter(adapter_folder(path)) for name, path in paths.items()}
    with show_reading(states) as told:
        found = change_from_start(
            told["start"], told["now"], factors=(factor,), reference=str(start)
        )
    hand_out(found, out, plot)
