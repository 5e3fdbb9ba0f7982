"""Where an analysis keeps its evaluations, and how it shows its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ._read import place_of


@dataclass(frozen=True)
class Session:
    """Where one analysis writes, and what it is called with.

    Args:
        out: JSON file to write.
        options: ``cache`` and ``progress``.
    """

    out: Path
    options: dict[str, Any]


@contextmanager
def open_session(
    name: str,
    run: Path,
    out: Path | None,
    fingerprint: str,
    kind: str = "",
) -> Iterator[Session]:
    """Open the cache of an analysis and a bar; say how to go on when interrupted.

    Args:
        name: Of the analysis.
        run: Run that it is about.
        out: JSON file that will be written; None takes the run's folder.
        fingerprint: What the evaluations depend on.
        kind: What else they depend on, in a word, e.g. the metric.

    Yields:
        Where to write, and the options for the analysis.

    Raises:
        typer.Exit: With code 130, when interrupted.
    """
    from ...analysis import EvaluationCache

    out = out or place_of(run, name)
    mark = fingerprint + kind
    # The mark is in the name too: other rows or adapters begin a file of their own.
    short = f"{mark[:8]}{'-' if kind else ''}{kind}"
    path = out.with_name(f"{out.stem}.{short}.jsonl")
    cache = EvaluationCache(path, fingerprint=mark)
    if cache.found:
        typer.echo(f"{cache.found} finished evaluations lie in {path}", err=True)
    try:
        with show_progress(name) as progress:
            yield Session(out, {"cache": cache, "progress": progress})
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped with {len(cache)} evaluations in {path}. The same command goes "
            "on from there.",
            err=True,
        )
        raise typer.Exit(130) from None


@contextmanager
def show_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the error stream.

    Args:
        name: What is going on.

    Yields:
        What is to be told how many are done, and how many there are.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report
