"""What happened, a line each: for the log of the run and for whoever watches."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Watch = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of an event and what belongs to it."""

FILE = "events.jsonl"


class Events:
    """Writes events to ``events.jsonl`` and tells them to a watcher.

    Of the run: ``start``, ``resume``, ``done``. Of nodes: ``connected``, ``refused``,
    ``silent``. Of rounds: ``round``, ``asked``, ``replied``, ``lost`` (and sent again),
    ``dropped`` (a reply, with the reason), ``skipped`` (a round), ``aggregated``. After
    the last: ``scored``, ``fitted``.

    Args:
        folder: Of the run.
        watch: Is told every event; None: nobody.
    """

    def __init__(self, folder: Path, watch: Watch | None = None) -> None:
        self._path = folder / FILE
        self._watch = watch
        folder.mkdir(parents=True, exist_ok=True)
        _end_last_line(self._path)

    def say(self, event: str, **content: Any) -> None:
        """Note an event.

        Args:
            event: Its name.
            **content: JSON values.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **content})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._watch is not None:
            self._watch(event, content)


def _end_last_line(path: Path) -> None:
    """Begin a new line after one that a kill or a full disk has cut off."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.write(b"\n")
