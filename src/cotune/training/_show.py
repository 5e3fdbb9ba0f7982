"""An evaluation as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._evaluation import Evaluation, Summary, TaskScore

if TYPE_CHECKING:
    from rich.table import Table


def build_table(evaluation: Evaluation) -> Table:
    """Lay out scores per task, then mean, worst task and spread, and dm%.

    Args:
        evaluation: The scores.

    Returns:
        A Rich table; print it with ``rich.print``.
    """
    from rich.table import Table

    table = Table(title="Scores", caption=_caption(evaluation))
    table.add_column("task")
    table.add_column("metric")
    for heading in ("rows", "base", "adapter", "change"):
        table.add_column(heading, justify="right")
    for score in evaluation.tasks:
        metric = score.metric + ("" if score.higher_is_better else " (low is good)")
        table.add_row(score.task, metric, str(score.rows), *_cells(score))
    table.add_section()
    for row in _summary_rows(evaluation):
        table.add_row(*row)
    return table


def _cells(score: TaskScore) -> tuple[str, str, str]:
    return _triple(score.base, score.adapter)


def _triple(base: float | None, adapter: float | None) -> tuple[str, str, str]:
    if base is None or adapter is None:
        return _number(base), _number(adapter), "-"
    return _number(base), _number(adapter), f"{adapter - base:+.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _summary_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    base, adapter = evaluation.summaries("base"), evaluation.summaries("adapter")
    rows: list[tuple[str, ...]] = []
    for metric in dict.fromkeys([*base, *adapter]):
        pair = base.get(metric), adapter.get(metric)
        for what in ("mean", "worst", "spread"):
            values = [_pick(summary, what) for summary in pair]
            rows.append((what, metric, "", *_triple(*values)))
    return rows


def _pick(summary: Summary | None, what: str) -> float | None:
    return None if summary is None else float(getattr(summary, what))


def _caption(evaluation: Evaluation) -> str | None:
    shown = {
        "single-task training": evaluation.dm_percent("single"),
        "the base model": evaluation.dm_percent("base"),
    }
    parts = [
        f"{dm:+.1f} against {name}" for name, dm in shown.items() if dm is not None
    ]
    return f"dm% (low is good): {', '.join(parts)}" if parts else None
