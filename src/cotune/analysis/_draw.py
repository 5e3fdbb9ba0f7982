"""Pictures of results; needs matplotlib, which is an extra."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_picture(draw: Callable[[Any], None], path: str | os.PathLike[str]) -> Path:
    """Let a function draw, and write the picture in one move.

    Args:
        draw: Draws on the axes that it is given.
        path: File to write; its folder is made.

    Returns:
        The path.

    Raises:
        ConfigError: matplotlib is not installed, or it cannot write such a file.
    """
    path = Path(path)
    figure: Any = _new_figure()
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in known:
        raise ConfigError(
            f"plot: the suffix must be one of {', '.join(sorted(known))}, got "
            f"{path.name!r}. Use .png or .svg."
        )
    draw(figure.add_subplot())
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(partial, dpi=110)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
    return path


def draw_matrix(
    axes: Any,
    names: Sequence[str],
    matrix: Sequence[Sequence[float]],
    *,
    low: float,
    high: float,
) -> None:
    """Draw a square matrix as a heat map, with its numbers where there is room.

    Args:
        axes: Where.
        names: Of the rows and columns.
        matrix: The numbers; NaN stays empty.
        low: Number of the first colour.
        high: Number of the last colour.
    """
    image = axes.imshow(matrix, vmin=low, vmax=high, cmap="viridis")
    places = range(len(names))
    axes.set_xticks(places, names, rotation=60, ha="right", fontsize="small")
    axes.set_yticks(places, names, fontsize="small")
    if len(names) <= 12:
        middle = (low + high) / 2
        for row in places:
            for column in places:
                value = matrix[row][column]
                colour = "black" if value > middle else "white"
                axes.text(
                    column,
                    row,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize="x-small",
                )
    axes.figure.colorbar(image, ax=axes)


def _new_figure() -> Figure:
    # Figure itself, not pyplot: no window system, no global list of open figures.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib must be installed, got no such package. "
            "Run: pip install 'cotune[plot]'."
        ) from error
    return Figure(figsize=(7.0, 5.0), layout="constrained")
