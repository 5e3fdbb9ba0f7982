"""``cotune report``."""

from pathlib import Path
from typing import Annotated

import typer


def run_report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders; several are shown side by side."),
    ],
    out: Annotated[
        Path, typer.Option(help="The HTML file to write. Replaced if it is there.")
    ] = Path("report.html"),
) -> None:
    """Write one HTML page about runs; it needs no network to be opened."""
    from ..report import write_report
    from ._show import show

    written = write_report(runs, out)
    show(f"{written}: {written.stat().st_size / 1e6:.1f} MB, opens in any browser")
