"""Tables of a record: the arms of a setting, the aggregations of a federation."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from benchmarks.evidence.federation import SCORES
from cotune.report import Table


def tabulate_arms(setting: Mapping[str, Any]) -> Table:
    """Make the table of a setting of the record: scores, chosen rate and cost per arm.

    Args:
        setting: As ``record.describe`` wrote it.
    """
    base = setting["base"]["mean"]
    caption = (
        f"Arms on {setting['setting']}: {setting['steps']} steps of "
        f"{setting['rows_per_step']} rows, at most {setting['max_length']} tokens. "
        f"Base model {base:.3f}, guessing {setting['chance']:.3f}."
    )
    columns = ["arm", "mean", "worst task", "spread", "dm%", "rate", "numbers", "s"]
    rows = [
        [
            arm["name"],
            f"{arm['mean']:.3f}",
            f"{arm['worst_task']:.3f}",
            f"{arm['spread_of_tasks']:.3f}",
            "-" if arm["dm"] is None else f"{arm['dm']:+.2f}",
            f"{arm['rate']:g}{' (edge)' if arm['rate_at_edge'] else ''}",
            f"{arm['parameters']:,}",
            f"{arm['seconds']:.0f}",
        ]
        for arm in setting["arms"]
    ]
    return Table(caption, columns, rows)


def tabulate_aggregations(setting: Mapping[str, Any]) -> Table:
    """Make the table of a setting with clients: both scores, chosen rate, bytes.

    Args:
        setting: As ``Federations.describe`` wrote it.
    """
    ranks = ", ".join(map(str, dict.fromkeys(setting["ranks"])))
    caption = (
        f"Aggregations on {setting['setting']}: {setting['clients']} clients of rank "
        f"{ranks}, {setting['rounds']} rounds of {setting['local_steps']} steps of "
        f"{setting['rows_per_step']} rows, at most {setting['max_length']} tokens. "
        f"Base model {setting['base']:.3f}, guessing {setting['chance']:.3f}. Rates "
        "are chosen by the score after aggregation; bytes are of all clients and "
        "rounds, up and down."
    )
    columns = ["aggregation", "aggregated", "worst", "trained", "worst", "rate", "MB"]
    rows = [_aggregation(arm) for arm in setting["arms"]]
    return Table(caption, [*columns, "s"], rows)


def _aggregation(arm: Mapping[str, Any]) -> list[str]:
    scores = [
        f"{number:.3f}"
        for key in SCORES
        for number in (fmean(arm[key]), arm["worst_client"][key])
    ]
    rate = f"{arm['rate']:g}{' (edge)' if arm['rate_at_edge'] else ''}"
    megabytes = f"{arm['bytes'] / 1e6:.1f}"
    seconds = "-" if arm["seconds"] is None else f"{arm['seconds']:.0f}"
    return [arm["name"], *scores, rate, megabytes, seconds]
