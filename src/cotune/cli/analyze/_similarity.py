"""``cotune analyze similarity``."""

from __future__ import annotations

from ._options import AdaptersArgument, FactorOption, OutOption, PlotOption
from ._read import read_all
from ._reading import show_reading
from ._show_result import hand_out


def run_similarity(
    adapters: AdaptersArgument,
    factor: FactorOption = "A",
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Compare the subspaces of factors, beside what random ones have."""
    from ...analysis import similarity

    with show_reading(read_all(adapters)) as told:
        found = similarity(told, factor=factor)
    hand_out(found, out, plot)
