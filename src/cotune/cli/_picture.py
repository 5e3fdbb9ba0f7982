"""A comparison as a picture."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..recipes import Comparison

BASE = "base model"


def draw_comparison(found: Comparison, path: Path) -> Path | None:
    """Draw mean scores as bars, and below them the scores per task and arm.

    Args:
        found: The comparison.
        path: Where to write the PNG; it appears whole or not at all.

    Returns:
        The path; None if matplotlib is not installed, or on other processes than the
        first.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return None
    if int(os.environ.get("RANK", "0")) != 0:
        return None
    from .._figure import new_figure, save_figure

    names = [BASE, *found.arms()]
    scores = [found.base_means(), *(found.task_means(arm) for arm in found.arms())]
    tasks = found.tasks()
    figure = new_figure(2.2 + 1.25 * len(names), 3.4 + 0.42 * len(tasks))
    ratios = [2.4, max(1.5, 0.42 * len(tasks))]
    bars, grid = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    _draw_bars(bars, [fmean(row.values()) for row in scores], found)
    rows = [[row[task] for row in scores] for task in tasks]
    _draw_grid(grid, names, tasks, rows, found.higher_is_better)
    save_figure(figure, path)
    return path


def _draw_bars(axes: Any, means: list[float], found: Comparison) -> None:
    best = (max if found.higher_is_better else min)(means)
    colours = ["#b0b0b0"] + ["#4477aa"] * (len(means) - 1)
    colours = [
        "#ee6677" if m == best else c for m, c in zip(means, colours, strict=True)
    ]
    axes.bar(range(len(means)), means, color=colours, width=0.7)
    for place, mean in enumerate(means):
        axes.text(place, mean, f"{mean:.3f}", ha="center", va="bottom")
    better = "high" if found.higher_is_better else "low"
    axes.set_title(f"Mean test {found.metric} over the tasks ({better} is good)")
    axes.set_ylim(0, 1.15 * max(*means, 1e-9))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_grid(
    axes: Any,
    names: list[str],
    tasks: list[str],
    rows: list[list[float]],
    higher_is_better: bool,
) -> None:
    axes.imshow(rows, aspect="auto", cmap="Blues", alpha=0.8)
    values = [value for row in rows for value in row]
    dark = min(values) + 0.6 * (max(values) - min(values))
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            best = value == (max if higher_is_better else min)(row)
            axes.text(
                *(x, y, f"{value:.2f}"),
                ha="center",
                va="center",
                color="white" if value > dark else "black",
                weight="bold" if best else "normal",
            )
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names])
    axes.set_yticks(range(len(tasks)), tasks)
    axes.tick_params(length=0)
    axes.set_title("Per task; best of its row bold")
