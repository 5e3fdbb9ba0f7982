"""A comparison as a table and as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..recipes import Cell, Comparison

BASE = "base model"
Summary = Callable[[Sequence[float]], float]


def build_compare_table(
    found: Comparison, groups: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """Lay out test scores per task and arm, then mean, worst task, and costs.

    Args:
        found: The comparison.
        groups: Name -> tasks whose mean gets a line of its own; None has none.

    Returns:
        A Rich table.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    better = "high" if found.higher_is_better else "low"
    title = f"Test {found.metric} ({better} is good)"
    table = Table(title=title, box=SIMPLE, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for name in (BASE, *found.arms()):
        table.add_column(name, justify="right")
    columns = [found.base_means(), *(found.task_means(arm) for arm in found.arms())]
    lines: list[tuple[str, Sequence[str], Summary]] = [
        *((task, [task], fmean) for task in found.tasks()),
        *((f"mean, {name}", tasks, fmean) for name, tasks in (groups or {}).items()),
        ("mean", found.tasks(), fmean),
        ("worst task", found.tasks(), min if found.higher_is_better else max),
    ]
    for number, (name, tasks, summary) in enumerate(lines, start=1):
        row = [summary([column[task] for task in tasks]) for column in columns]
        end = number in (len(found.tasks()), len(lines))
        table.add_row(name, *_mark_best(row, found.higher_is_better), end_section=end)
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
            f"No winner: {best} has the best mean, but the 95 % interval of its "
            f"lead over {_join(rivals)} includes 0."
        )
    else:
        gap = found.difference(best, others[0])
        verdict = (
            f"Winner: {best}, {abs(gap.mean):.3f} ahead of {others[0]} (95 % interval "
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
        table.add_row(f"sd over {len(seeds)} seeds", "", *spread)
    runs = {arm: [found.chosen(arm, seed) for seed in seeds] for arm in arms}
    rates = [_rates(found, runs[arm]) for arm in arms]
    table.add_row("learning rate", "", *rates)
    table.add_row("parameters", "", *(f"{runs[a][0].parameters:,} " for a in arms))
    seconds = (fmean(run.seconds for run in runs[arm]) for arm in arms)
    table.add_row("seconds", "", *(f"{time:.0f} " for time in seconds))
    notes = "* best of its row. Parameters: trained ones. Seconds: of training. "
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
