"""Pictures of findings; needs matplotlib, which is an extra."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import ConfigError
from .._figure import check_suffix, new_figure, save_figure
from ._finding import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_picture(
    findings: Sequence[Finding], path: str | os.PathLike[str], *, columns: int = 3
) -> Path:
    """Draw findings in a grid and write the picture in one move.

    Args:
        findings: At least one.
        path: File to write; its suffix picks the format (png, svg, pdf).
        columns: Most pictures in a row.

    Returns:
        The path.

    Raises:
        ConfigError: matplotlib is not installed or cannot write such a file, or there
            are no findings.
    """
    if not findings:
        raise ConfigError("write_picture: findings must not be empty, got none.")
    columns = min(columns, len(findings))
    rows = math.ceil(len(findings) / columns)
    path = Path(path)
    figure = new_figure(5.2 * columns, 3.8 * rows)
    check_suffix(figure, path)
    for number, finding in enumerate(findings, start=1):
        _draw(finding, figure.add_subplot(rows, columns, number))
    save_figure(figure, path)
    return path


def _draw(finding: Finding, axes: Axes) -> None:
    how = finding.picture
    for key in dict.fromkeys(str(row.get(how.by, "")) for row in finding.rows):
        mine = [row for row in finding.rows if str(row.get(how.by, "")) == key]
        x, y = ([row[column] for row in mine] for column in (how.x, how.y))
        # A line between two categories would suggest that something lies between.
        line = "" if isinstance(x[0], str) else "-"
        axes.plot(x, y, marker="o", linestyle=line, label=key)
    axes.set_xlabel(how.x)
    axes.set_ylabel(how.y)
    verdict = "holds" if finding.passed else "does not hold"
    axes.set_title(f"{finding.name}: {verdict}")
    if how.log_x:
        axes.set_xscale("log")
    if how.log_y:
        axes.set_yscale("log")
    if how.by:
        axes.legend(title=how.by, fontsize="small")
