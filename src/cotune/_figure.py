"""Figures on disk, without a window system; needs matplotlib, which is an extra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure.

    Args:
        width: In inches.
        height: In inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    # Figure itself, not pyplot: no window system, no global list of open figures.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib must be installed, got no such package. "
            "Run: pip install 'cotune[plot]'."
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def check_suffix(figure: Figure, path: Path) -> None:
    """Refuse a file that matplotlib cannot write, before anything is drawn.

    Raises:
        ConfigError: The suffix is unknown to it; shows those it knows.
    """
    canvas: Any = figure.canvas
    known = canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in known:
        raise ConfigError(
            f"plot: the suffix must be one of {', '.join(sorted(known))}, got "
            f"{path.name!r}. Use .png or .svg."
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in one move.

    Args:
        figure: What to write.
        path: Where; its folder is made, its suffix picks the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        figure.savefig(draft, dpi=110)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
