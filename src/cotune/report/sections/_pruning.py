"""Scores of pruned adapters over what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section
from .._charts import Number, Point, bar_chart, line_chart
from .._numbers import as_number
from .._run_folder import RunFolder, find_analyses

WHOLE = "whole"
"""The adapter as it is, where an operator is named."""

Row = Mapping[str, Any]


def build_pruning(runs: Sequence[RunFolder]) -> Section | None:
    """Show pruned adapters: curves over the share kept, and bars of single patterns.

    Reads files with ``"analysis": "pruning"`` whose ``rows`` have ``operator``,
    ``kept`` (share of the adapter's numbers that is left, in [0, 1]) and ``score``.
    Several files are drawn side by side.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if nothing was pruned.
    """
    found = dict(find_analyses(runs, "pruning"))
    if not found:
        return None
    lead = (
        "Scores after pruning, without training again. Kept 1 is the whole adapter, "
        "kept 0 the base model."
    )
    curves = {name: _curves(one) for name, one in found.items()}
    blocks: list[Block] = []
    if any(curves.values()):
        blocks.append(_lines(curves))
    patterns = {name: _patterns(one) for name, one in found.items()}
    if any(len(one) > 1 for one in patterns.values()):
        blocks.append(_bars(patterns))
    return Section("Pruning", lead, blocks)


def _curves(found: Row) -> dict[str, list[Point]]:
    """Return the curves of operators with three points or more, from end to end."""
    lines: dict[str, list[Point]] = {}
    for row in found["rows"]:
        point = (row["kept"], as_number(row["score"]))
        lines.setdefault(str(row["operator"]), []).append(point)
    ends = lines.pop(WHOLE, [])
    base = as_number((found.get("summary") or {}).get("base"))
    ends += [] if base is None else [(0.0, base)]
    return {
        name: sorted({*points, *ends}, key=lambda point: point[0])
        for name, points in lines.items()
        if len({kept for kept, _ in points}) > 2
    }


def _patterns(found: Row) -> dict[str, Number]:
    """Return the scores of single patterns, the whole adapter and the base model."""
    curves = _curves(found)
    base = as_number((found.get("summary") or {}).get("base"))
    scores: dict[str, Number] = {} if base is None else {"base model": base}
    for row in found["rows"]:
        if row["operator"] not in curves:
            title = f"{row['operator']} {row.get('setting', '')}".strip()
            scores[title] = as_number(row["score"])
    return scores


def _lines(curves: Mapping[str, Mapping[str, Sequence[Point]]]) -> Block:
    several = len(curves) > 1
    lines = {
        f"{name}: {operator}" if several else operator: points
        for name, found in curves.items()
        for operator, points in found.items()
    }
    return line_chart(
        "Score over the share kept",
        f"Lines of the score over the share of the numbers kept, for "
        f"{', '.join(lines)}.",
        lines,
        x="share of the numbers kept",
        y="score",
    )


def _bars(patterns: Mapping[str, Mapping[str, Number]]) -> Block:
    titles = list(dict.fromkeys(t for found in patterns.values() for t in found))
    groups = {
        name: [found.get(title) for title in titles] for name, found in patterns.items()
    }
    return bar_chart(
        "Score per pattern",
        f"Bars of the score of {len(titles)} patterns, for {', '.join(patterns)}.",
        titles,
        groups,
        of="Pattern",
        unit="score",
    )
