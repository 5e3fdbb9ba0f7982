"""The record of a run as tables, on the screen and in ``docs/scale_federated.md``.

``python -m benchmarks.federated.tables`` writes the tables into the page, between its
marks, from the record of the last run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Lines = list[tuple[str, ...]]
PAGE = Path(__file__).parents[2] / "docs" / "scale_federated.md"
RECORD = Path(__file__).parent / "results" / "cpu.json"


def size(count: float) -> str:
    """Write bytes with three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def span(seconds: float) -> str:
    """Write a time with three digits."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 3600:.3g} h"


def measured_table(record: dict[str, Any]) -> Lines:
    """Return the rounds that were measured."""
    lines: Lines = [("method", "model", "r", "clients", "up", "server", "peak")]
    for row in record["measured"]:
        if not row["clients"]:
            lines.append(
                (
                    row["method"],
                    row["model"],
                    str(row["rank"]),
                    f"{row['asked']:,}",
                    size(row["bytes_up"]),
                    span(row["seconds"]),
                    size(row["peak"]),
                )
            )
    return lines


def rounds_table(record: dict[str, Any]) -> Lines:
    """Return memory over many rounds."""
    heading = ("method", "model", "clients", "per round", "rounds", "early", "late")
    lines: Lines = [heading]
    for row in record["measured"]:
        if row["clients"]:
            lines.append(
                (
                    row["method"],
                    row["model"],
                    f"{row['clients']:,}",
                    str(row["asked"]),
                    f"{row['rounds']:,}",
                    size(row["early"]),
                    size(row["late"]),
                )
            )
    return lines


def extrapolated_table(record: dict[str, Any]) -> Lines:
    """Return what the law says of federations that were not measured."""
    heading = ("model", "method", "clients", "up", "down", "server", "10 Gbit/s")
    lines: Lines = [(*heading, "memory")]
    for row in record["extrapolated"]:
        lines.append(
            (
                row["model"],
                row["method"],
                f"{row['clients']:,}",
                size(row["bytes_up"]),
                size(row["bytes_down"]),
                span(row["seconds"]),
                span(row["wire_seconds_10gbit"]),
                size(row["memory"]),
            )
        )
    return lines


def law_table(record: dict[str, Any]) -> Lines:
    """Return the law, and how far it is from what was measured."""
    law = record["law"]
    low, high = law["lowest_ratio"], law["highest_ratio"]
    return [
        ("what", "value"),
        ("a, per array", span(law["seconds_per_array"])),
        ("b, per GB", span(law["seconds_per_gb"])),
        ("law / measured, lowest and highest", f"{low:.2f} and {high:.2f}"),
        ("memory, in replies of one client", f"{law['replies_in_memory']:.1f}"),
        ("mean of means against the mean", f"{record['hierarchy_error']:.1g}"),
    ]


TABLES: dict[str, Callable[[dict[str, Any]], Lines]] = {
    "measured": measured_table,
    "rounds": rounds_table,
    "law": law_table,
    "extrapolated": extrapolated_table,
}


def markdown(lines: Lines) -> str:
    """Write a table in Markdown."""
    heading, *rest = lines
    rule = tuple("---" for _ in heading)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, rule, *rest))


def fill(page: str, record: dict[str, Any]) -> str:
    """Put the tables between the marks of a page.

    Args:
        page: Text with ``<!-- table NAME -->`` and ``<!-- end -->`` around each table.
        record: What ``run.py`` wrote.

    Returns:
        The page with new tables.
    """
    for name, build in TABLES.items():
        marks = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = markdown(build(record))
        page, count = marks.subn(lambda m, t=text: f"{m[1]}\n{t}\n\n{m[2]}", page)
        assert count == 1, f"{PAGE.name} must have the marks of table {name} once"
    return page


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    PAGE.write_text(fill(page, record), encoding="utf-8")
