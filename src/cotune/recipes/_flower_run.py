"""Run a Flower app on a SuperLink, pass its log on, and say how it ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._errors import ConfigError

_COMMAND = (str(Path(sys.executable).parent / "flwr"),)
_LAST = 40
"""Lines of Flower's that are looked at for what it said last."""
_STARTED = re.compile(r"Successfully started run (\d+)")
_SETTLES = 30.0
"""Seconds in which Flower knows how a run ended, after the last line of its log."""
_DONE = "finished:completed"


def run_app(
    app: Path,
    superlink: str,
    environment: dict[str, str],
    *,
    resume: bool,
    say: Callable[[str], None],
) -> None:
    """Run an app to its end.

    Args:
        app: Its folder.
        superlink: Name of a connection in Flower's ``config.toml``.
        environment: For Flower's commands.
        resume: Goes into the run config.
        say: Is given the log, line by line.

    Raises:
        ConfigError: Flower refuses the run, or the run did not end well: Flower's own
            command succeeds then too.
    """
    command = [*_COMMAND, "run", str(app), superlink, "--stream"]
    command += ["--run-config", "resume=true"] if resume else []
    number = _follow(command, environment, say)
    status = _ask_status(number, superlink, environment)
    if status != _DONE:
        raise ConfigError(
            f"--superlink: run {number} must end with {_DONE}, got {status}. The log "
            "above says why; mend it, and go on with --resume."
        )


def _follow(
    command: list[str], environment: dict[str, str], say: Callable[[str], None]
) -> str:
    """Pass on what a command says until it ends; return the number of its run."""
    lines: list[str] = []
    number = "?"
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines = [*lines, line.rstrip()][-_LAST:]
            say(lines[-1])
            found = _STARTED.search(line)
            number = found[1] if found else number
    if process.returncode:
        raise ConfigError(
            f"--superlink: Flower must take the run, got code {process.returncode}: "
            f"{_find_last_words(lines)}. Check the name or address, and that the "
            "SuperLink is up."
        )
    return number


def _find_last_words(lines: Sequence[str]) -> str:
    """Return what a command said last: a line, or all of a box that is drawn."""
    words: list[str] = []
    boxed = False
    for line in lines:
        boxed = line.startswith("╭") or (boxed and not line.startswith("╰"))
        text = line.strip(" │╭╮╰╯─")
        if line.startswith("╭"):
            words = []
        elif text:
            words = [*words, text] if boxed else [text]
    return " ".join(words).removesuffix(".") or "no word"


def _ask_status(number: str, superlink: str, environment: dict[str, str]) -> str:
    """Ask how a run ended; right after the last line it may still be running."""
    command = [*_COMMAND, "list", superlink, "--run-id", number, "--format", "json"]
    end = time.monotonic() + _SETTLES
    while True:
        asked = subprocess.run(
            command, env=environment, capture_output=True, check=False
        )
        status = _read_status(asked.stdout.decode(errors="replace"))
        if status.startswith("finished") or time.monotonic() > end:
            return status
        time.sleep(1.0)


def _read_status(said: str) -> str:
    """Find the status in what ``flwr list`` prints: JSON, and perhaps words before."""
    try:
        found: Any = json.loads(said[said.index("{") :])
        return str(found["runs"][0]["status"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "no answer"
