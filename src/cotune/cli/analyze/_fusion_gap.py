"""``cotune analyze fusion-gap``."""

from __future__ import annotations

from .._options import TaskOption
from ._options import AdaptersArgument, OutOption, PlotOption
from ._read import read_all
from ._reading import show_reading
from ._show_result import hand_out


def run_fusion_gap(
    adapters: AdaptersArgument,
    task: TaskOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Measure how far averaging factors is from averaging updates."""
    from ...analysis import fusion_gap

    with show_reading(read_all(adapters)) as told:
        found = fusion_gap(list(told.values()), task=task)
    hand_out(found, out, plot)
