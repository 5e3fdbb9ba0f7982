"""Pictures of results; needs matplotlib, which is an extra."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._figure import check_suffix, new_figure, save_figure


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
    figure = new_figure(7.0, 5.0)
    check_suffix(figure, path)
    draw(figure.add_subplot())
    save_figure(figure, path)
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
