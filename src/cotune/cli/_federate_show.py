"""What ``cotune federate`` shows: a bar per round while it runs, a table at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from .._errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from rich.table import Table

    from ..federated import Engine

ENGINES = ("simulation", "local")
_SHOWN = 12
"""Most clients whose state stands beside a bar; of more, only counts."""


def read_engine(engine: str) -> Engine:
    """Take the name of an engine.

    Raises:
        ConfigError: Unknown; the message shows the nearest name.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine: {unknown_name('engine', engine, ENGINES)}")
    return cast("Engine", engine)


class RoundsBar:
    """A progress bar per round, with what each client does; a context manager."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.table import Column

        # The states get what is left of the line, and never push the rest away.
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(min_width=9)),
            BarColumn(12, table_column=Column(min_width=12)),
            MofNCompleteColumn(table_column=Column(min_width=5)),
            Elapsed(table_column=Column(min_width=7)),
            TextColumn("{task.fields[state]}", markup=False, table_column=rest),
            expand=True,
        )
        self._bar: Any = None
        self._states: dict[str, str] = {}

    def __enter__(self) -> RoundsBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def watch(self, event: str, content: Mapping[str, Any]) -> None:
        """Show one event of the run.

        Args:
            event: Its name, as in ``events.jsonl``.
            content: What belongs to it.
        """
        if event == "asked":
            self._begin(content)
        elif event in ("replied", "dropped", "scored", "fitted"):
            score = content.get("score_after_training")
            score = content.get("score_after_aggregation") if score is None else score
            done = "ok" if score is None else f"{score:.3f}"
            self._states[content["client"]] = content.get("reason") or done
            if self._bar is not None:
                self._progress.update(self._bar, advance=1, state=self._describe())
        elif event == "skipped" and self._bar is not None:
            self._progress.update(self._bar, state="skipped: below the quorum")

    def _begin(self, content: Mapping[str, Any]) -> None:
        words = {"train": "round {round}", "fit": "newcomers", "score": "scores"}
        name = words[content["todo"]].format(**content)
        self._states = dict.fromkeys(content["clients"], "...")
        total = len(self._states)
        self._bar = self._progress.add_task(name, total=total, state=self._describe())

    def _describe(self) -> str:
        if len(self._states) <= _SHOWN:
            return "  ".join(f"{name} {state}" for name, state in self._states.items())
        waiting = sum(state == "..." for state in self._states.values())
        return f"{waiting} still at work"


def build_clients_table(folder: Path) -> Table:
    """Lay out the results of a run: both scores and the bytes, per client and in all.

    Args:
        folder: Of the run.
    """
    from rich.table import Table

    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = found["federated"]
    skipped = f", {found['skipped']} skipped" if found["skipped"] else ""
    dropped = f", {found['dropped']} replies dropped" if found["dropped"] else ""
    name = found["aggregation"]["name"]
    table = Table(title=f"{name}: {found['rounds']} rounds{skipped}{dropped}")
    table.add_column("client")
    for heading in (
        "rank",
        "rounds",
        "after aggregation",
        "after local training",
        "MB up",
        "MB down",
    ):
        table.add_column(heading, justify="right")
    for client, one in found["clients"].items():
        table.add_row(client, str(one["rank"]), str(one["rounds"]), *_cells(one))
    table.add_section()
    for row in _summary(found):
        table.add_row(*row)
    return table


def describe_losses(folder: Path) -> str:
    """Say which replies were dropped, and where the reasons stand.

    Args:
        folder: Of the run.

    Returns:
        A text; empty if every reply was good.
    """
    rounds = json.loads((folder / "rounds.json").read_text(encoding="utf-8"))
    reasons = Counter(
        str(reason).partition(":")[0]
        for entry in rounds
        for reason in entry["dropped"].values()
    )
    if not reasons:
        return ""
    counts = ", ".join(f"{reason} ({n})" for reason, n in sorted(reasons.items()))
    nothing = all(entry["skipped"] for entry in rounds)
    return (
        ("Nothing was learned: every round was skipped. " if nothing else "")
        + f"Replies dropped: {counts}. When, stands in {folder / 'events.jsonl'}; why, "
        "in the client's own log, NAME.log in its folder."
    )


def _cells(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    scores = (one["score_after_aggregation"], one["score_after_training"])
    first, second = ("-" if x is None else f"{x:.3f}" for x in scores)
    return first, second, f"{one['up'] / 1e6:.3f}", f"{one['down'] / 1e6:.3f}"


def _summary(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    first, second = found["scores"].values()
    rows: list[tuple[str, ...]] = []
    for metric in dict.fromkeys([*first, *second]):
        for word in ("mean", "worst"):
            cells = [
                f"{found[metric][word]:.3f}" if metric in found else "-"
                for found in (first, second)
            ]
            rows.append((f"{word} {metric}", "", "", *cells, "", ""))
    total = (f"{found['up'] / 1e6:.3f}", f"{found['down'] / 1e6:.3f}")
    return [*rows, ("all clients", "", "", "", "", *total)]
