"""The command that every line has: ``python -m benchmarks.evidence.L4.run``."""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.evidence.bench import HERE, Bench, read_profile
from benchmarks.evidence.parts import Part, decide
from benchmarks.evidence.record import write_record

CACHE = HERE.parents[1] / "runs" / "evidence"


@dataclass(frozen=True)
class Measured:
    """What a line found.

    Args:
        parts: The numbers that the verdict reads, and those beside them.
        extra: Anything else worth keeping, as JSON can hold it.
    """

    parts: Sequence[Part]
    extra: dict[str, Any] = field(default_factory=dict)


Measure = Callable[[Bench], Measured]


def main(file: str, measure: Measure, arguments: Sequence[str] | None = None) -> None:
    """Run a line, print its parts, and write its record.

    Args:
        file: ``__file__`` of the line's ``run.py``.
        measure: What the line does.
        arguments: Of the command; None: those of the process.
    """
    folder = Path(file).parent
    args = _parse(folder.name, arguments)
    # Runs are many and short; what they say goes to their own logs.
    logging.getLogger("cotune").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    config = read_config(folder)
    console = Console()
    bench = Bench(
        read_profile(args.profile),
        args.cache,
        options=config["profiles"][args.profile],
        workers=args.workers,
        report=lambda text: console.print(f"{time.strftime('%H:%M:%S')} {text}"),
    )
    start = time.perf_counter()
    found = measure(bench)
    seconds = time.perf_counter() - start
    path = write_record(folder, bench, found.parts, seconds=seconds, extra=found.extra)
    console.print(build_table(folder.name, found.parts), f"Written: {path.name}")


def read_config(folder: Path) -> dict[str, Any]:
    """Read what a line claims, and what its profiles run."""
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def build_table(line: str, parts: Sequence[Part]) -> Table:
    """Build the table of parts with the verdict above it."""
    table = Table(title=f"{line}: {decide(parts)}")
    for name in ("what", "value", "reference", "difference", "95 %", "outcome"):
        table.add_column(name)
    for part in parts:
        outcome = part.outcome if part.counts else f"({part.outcome})"
        table.add_row(part.what, *show(part), outcome)
    return table


def show(part: Part) -> tuple[str, str, str, str]:
    """Return value, reference, difference and interval (or rule) as texts."""
    value = f"{part.value:.3g}" if part.rule else f"{part.value:.3f}"
    if part.rule:
        return value, "", "", part.rule
    interval = f"{part.low:+.3f} to {part.high:+.3f}"
    return value, f"{part.reference:.3f}", f"{part.difference:+.3f}", interval


def _parse(line: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Evidence, line {line}.")
    parser.add_argument("--profile", default="quick", help="quick or full")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--cache", type=Path, default=CACHE, help="finished runs")
    return parser.parse_args(arguments)
