"""Results, printed and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...analysis import Result


def hand_out(
    found: Result, out: Path | None, plot: Path | None, most: int = 40
) -> None:
    """Print a result, and write it where it was asked for.

    Args:
        found: The result.
        out: JSON file; None writes none.
        plot: Picture; None draws none.
        most: Most rows that are printed.
    """
    from rich.table import Table

    from ..._files import write_text
    from .._show import show

    rows = found.rows()
    left = len(rows) - most
    table = Table(title=found.name, caption=f"and {left} more" if left > 0 else None)
    for column in rows[0]:
        table.add_column(column)
    for row in rows[:most]:
        table.add_row(*map(_text, row.values()))
    show(table)
    summary = found.summary()
    if "matrix" in summary:
        names = [summary[key] for key in ("names", "tasks", "norms") if key in summary]
        names = list(names[0])
        show(_matrix_table(names, summary["matrix"]))
    for name, value in summary.items():
        if isinstance(value, (int, float, str)):
            show(f"{name}: {_text(value)}")
    if out is not None:
        write_text(out, found.to_json() + "\n")
        show(f"The numbers lie in {out}")
    if plot is not None:
        show(f"The picture lies in {found.plot(plot)}")


def _matrix_table(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> Any:
    from rich.table import Table

    table = Table(title="over all layers")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, matrix, strict=True):
        table.add_row(name, *(f"{value:.3f}" for value in row))
    return table


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
