"""Three kinds of chart, each made from numbers together with its table."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._blocks import Cell, Chart, Table

Number = float | None
Point = tuple[float, Number]

_BAR = 16
_CELL = 26
_MOST_TEXTS = 150
_MOST_LINES = 8


def line_chart(
    title: str,
    alt: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    x: str,
    y: str,
    share: bool = False,
) -> Chart:
    """Draw lines over one axis.

    Args:
        title: Of the chart.
        alt: One sentence on what it shows.
        lines: Name -> points (x, y), in the order of x.
        x: What the x axis counts.
        y: What the y axis measures.
        share: Whether y lies in [0, 1] and is shown on all of it.
    """
    traces = [
        {
            "type": "scatter",
            # One point makes no line.
            "mode": "lines+markers" if len(points) <= 60 else "lines",
            "name": escape(name),
            "x": [point[0] for point in points],
            "y": [point[1] for point in points],
            "hovertemplate": "%{x:,}: %{y:.4g}",
        }
        for name, points in lines.items()
    ]
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": escape(x)}},
        "yaxis": {"title": {"text": escape(y)}},
        "hovermode": "x unified" if len(lines) <= _MOST_LINES else "closest",
    }
    if share:
        layout["yaxis"]["range"] = [-0.02, 1.02]
    rows = 1 + len(lines) // 4
    return Chart(
        title, alt, "lines", traces, layout, 320 + 20 * rows, _lines(title, lines, x)
    )


def bar_chart(
    title: str,
    alt: str,
    names: Sequence[str],
    groups: Mapping[str, Sequence[Number]],
    *,
    of: str,
    unit: str,
    spread: Mapping[str, Sequence[Number]] | None = None,
    share: bool = False,
    reference: str | None = None,
) -> Chart:
    """Draw lying bars, one group of them per name.

    Args:
        title: Of the chart.
        alt: One sentence on what it shows.
        names: Of the groups of bars, from top to bottom.
        groups: Colour -> one value per name; None leaves a gap.
        of: What a name is, in the singular; heading in the table.
        unit: What the bars measure.
        spread: Colour -> half length of the error bars, one per name.
        share: Whether values lie in [0, 1] and are shown on all of it.
        reference: Colour that the others are measured against; drawn in grey.
    """
    spread = spread or {}
    traces: list[dict[str, Any]] = []
    for group, values in groups.items():
        trace: dict[str, Any] = {
            "type": "bar",
            "orientation": "h",
            "name": escape(group),
            "y": [escape(name) for name in names],
            "x": list(values),
            "hovertemplate": "%{y}: %{x:.4g}",
            "meta": "reference" if group == reference else "",
        }
        if group in spread:
            trace["error_x"] = {"type": "data", "array": list(spread[group])}
        traces.append(trace)
    layout: dict[str, Any] = {
        "barmode": "group",
        "xaxis": {"title": {"text": escape(unit)}},
        "yaxis": {"type": "category", "autorange": "reversed"},
    }
    if share:
        layout["xaxis"]["range"] = [0, 1]
    height = 130 + len(names) * (_BAR * len(groups) + 12)
    table = _bars(title, names, groups, of, spread)
    return Chart(title, alt, "bars", traces, layout, height, table)


def heat_map(
    title: str,
    alt: str,
    rows: Sequence[str],
    columns: Sequence[str | float],
    values: Sequence[Sequence[Number]],
    *,
    of: str,
    unit: str,
    x: str = "",
    scale: Literal["one-sided", "two-sided"] = "one-sided",
    low: float | None = None,
    high: float | None = None,
) -> Chart:
    """Draw a table of numbers as colours.

    Args:
        title: Of the chart.
        alt: One sentence on what it shows.
        rows: Names from top to bottom.
        columns: Names from left to right, or places on a number axis.
        values: One sequence per row.
        of: What a row is, in the singular; heading in the table.
        unit: What the colours measure.
        x: What the x axis counts.
        scale: One colour from low to high, or two colours away from 0.
        low: Value of the first colour; None takes the smallest.
        high: Value of the last colour; None takes the largest.
    """
    named = [escape(c) if isinstance(c, str) else c for c in columns]
    text = bool(columns) and isinstance(columns[0], str)
    found = [value for row in values for value in row if value is not None]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": named,
        "y": [escape(row) for row in rows],
        "z": [list(row) for row in values],
        "zmin": min(found, default=0) if low is None else low,
        "zmax": max(found, default=1) if high is None else high,
        "scale": scale,
        "colorbar": {"title": {"text": escape(unit), "side": "right"}, "thickness": 12},
        "hovertemplate": "%{y}, %{x}: %{z:.4g}<extra></extra>",
    }
    if text and len(rows) * len(columns) <= _MOST_TEXTS and len(columns) <= 13:
        trace["texttemplate"] = "%{z:.2f}"
    layout = {
        "xaxis": {
            "title": {"text": escape(x)},
            "type": "category" if text else "linear",
        },
        "yaxis": {"type": "category", "autorange": "reversed"},
    }
    longest = max((len(c) for c in named if isinstance(c, str)), default=0)
    # Long names stand upright below the map.
    height = 150 + _CELL * max(4, len(rows)) + 6 * min(longest, 24)
    table = _cells(title, rows, columns, values, of)
    return Chart(title, alt, "map", [trace], layout, height, table)


def step_chart(
    title: str, lines: Mapping[str, Sequence[Point]], *, of: str, unit: str
) -> Chart:
    """Draw what was logged over the steps: lines if they are few, a map otherwise.

    Args:
        title: Of the chart.
        lines: Name -> points (step, value).
        of: What a name is, in the singular.
        unit: What the values measure.
    """
    if len(lines) <= _MOST_LINES:
        alt = (
            f"Lines of {unit} over the steps, one per {of.lower()}: {', '.join(lines)}."
        )
        return line_chart(title, alt, lines, x="step", y=unit)
    steps = sorted({step for points in lines.values() for step, _ in points})
    found = [dict(points) for points in lines.values()]
    return heat_map(
        title,
        f"Map of {unit}: {len(lines)} times {of.lower()} by {len(steps)} steps.",
        list(lines),
        [f"{step:g}" for step in steps],
        [[points.get(step) for step in steps] for points in found],
        of=of,
        unit=unit,
        x="step",
    )


def strip_prefix(names: Sequence[str]) -> list[str]:
    """Take the parts that all dotted names begin with from each of them.

    A bare number would say too little, so the part before it stays.

    Args:
        names: Names of layers.

    Example:
        >>> strip_prefix(["model.layers.0.q", "model.layers.1.q"])
        ['0.q', '1.q']
    """
    parts = [name.split(".") for name in names]
    count = 0
    while parts and all(
        len(p) > count + 1 and p[count] == parts[0][count] for p in parts
    ):
        count += 1
    if count and any(part[count:][-1].isdigit() for part in parts):
        count -= 1
    return [".".join(part[count:]) for part in parts]


def escape(label: str) -> str:
    """Take the meaning from what Plotly would read as markup in a label.

    Args:
        label: Any text.
    """
    return html.escape(label, quote=False)


def _lines(title: str, lines: Mapping[str, Sequence[Point]], x: str) -> Table:
    found = {name: dict(points) for name, points in lines.items()}
    places = sorted({place for points in found.values() for place in points})
    rows = [
        [place, *(points.get(place) for points in found.values())] for place in places
    ]
    return Table(title, [x, *lines], rows)


def _bars(
    title: str,
    names: Sequence[str],
    groups: Mapping[str, Sequence[Number]],
    of: str,
    spread: Mapping[str, Sequence[Number]],
) -> Table:
    columns: dict[str, Sequence[Number]] = {}
    for group, values in groups.items():
        columns[group] = values
        if group in spread:
            columns[f"± {group}"] = spread[group]
    rows: list[list[Cell]] = [
        [name, *(values[place] for values in columns.values())]
        for place, name in enumerate(names)
    ]
    return Table(title, [of, *columns], rows)


def _cells(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str | float],
    values: Sequence[Sequence[Number]],
    of: str,
) -> Table:
    if len(columns) <= len(rows) + 8:
        body = [[name, *line] for name, line in zip(rows, values, strict=True)]
        return Table(title, [of, *map(str, columns)], body)
    turned = [
        [column, *(line[place] for line in values)]
        for place, column in enumerate(columns)
    ]
    return Table(title, ["", *rows], turned)
