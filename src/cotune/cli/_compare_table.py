"""A comparison as a table and as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..recipes import Cell, Comparison

BASE = "base model"


def build_compare_table(found: Comparison) -> Table:
    """Lay out test scores per task and arm, then mean, worst task, and costs.

    Args:
        found: The comparison.

    Returns:
        A Rich table.
    """
    from rich.table import Table

    better = "high" if found.higher_is_better else "low"
    table = Table(title=f"Test {found.metric} ({better} is good)")
    table.add_column("task")
    arms = found.arms()
    for name in (BASE, *arms):
        table.add_column(name, justify="right")
    base, scores = found.base_means(), {arm: found.task_means(arm) for arm in arms}
    for task in found.tasks():
        row = [base[task], *(scores[arm][task] for arm in arms)]
        table.add_row(task, *_mark_best(row, found.higher_is_better))
    table.add_section()
    worst = min if found.higher_is_better else max
    summaries: tuple[tuple[str, Callable[..., float]], ...] = (
        ("mean", fmean),
        ("worst task", worst),
    )
    for name, summary in summaries:
        row = [summary(base.values()), *(summary(scores[a].values()) for a in arms)]
        table.add_row(name, *_mark_best(row, found.higher_is_better))
    _add_costs(table, found)
    return table


def describe_winner(found: Comparison) -> str:
    """Say which arm is best, or that none can be told from the next.

    Args:
        found: The comparison.

    Returns:
        One or two sentences.
    """
    best, *others = found.ranking()
    if not others:
        return f"Only one arm was run: {best}."
    rivals = found.rivals()
    if rivals:
        verdict = (
            f"No method wins: {best} has the best mean, but its 95 % interval against "
            f"{_join(rivals)} includes 0."
        )
    else:
        gap = found.difference(best, others[0])
        verdict = (
            f"{best} wins: {abs(gap.mean):.3f} ahead of {others[0]} (95 % interval "
            f"{min(abs(gap.low), abs(gap.high)):.3f} to "
            f"{max(abs(gap.low), abs(gap.high)):.3f})."
        )
    if len(found.seeds()) == 1:
        verdict += " One seed: the luck of training is not in the interval."
    return verdict


def _mark_best(row: Sequence[float], higher_is_better: bool) -> list[str]:
    best = (max if higher_is_better else min)(row)
    return [f"{score:.3f}{'*' if score == best else ' '}" for score in row]


def _add_costs(table: Table, found: Comparison) -> None:
    arms, seeds = found.arms(), found.seeds()
    if len(seeds) > 1:
        spread = [f"{stdev(found.means(arm)):.3f} " for arm in arms]
        table.add_row(f"sd of the mean, {len(seeds)} seeds", "", *spread)
    runs = {arm: [found.chosen(arm, seed) for seed in seeds] for arm in arms}
    rates = [_rates(found, runs[arm]) for arm in arms]
    table.add_row("learning rate", "", *rates)
    table.add_row("trained numbers", "", *(f"{runs[a][0].parameters:,} " for a in arms))
    seconds = (fmean(run.seconds for run in runs[arm]) for arm in arms)
    table.add_row("seconds of training", "", *(f"{time:.0f} " for time in seconds))
    notes = "* best of its row. "
    if any(found.is_at_edge(run) for arm in arms for run in runs[arm]):
        notes += "! at the edge of the grid: a wider one might be better."
    table.caption = notes


def _rates(found: Comparison, runs: Sequence[Cell]) -> str:
    rates = {
        f"{run.learning_rate:g}{'!' if found.is_at_edge(run) else ' '}": None
        for run in runs
    }
    return ", ".join(rates)


def _join(names: Sequence[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last
