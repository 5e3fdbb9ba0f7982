"""Checkpoints: which are complete, which is the last, which are deleted."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

from .._errors import ConfigError
from .._files import publish, write_json

_LOG = logging.getLogger(__name__)

STAGING = ".unfinished"
"""Folder beside the checkpoints in which one is written before it gets its name."""

MANIFEST = "complete.json"
"""File of a complete checkpoint: its other files and their sizes in bytes."""

_NAME = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path) -> None:
    """Write down which files a finished checkpoint has.

    Args:
        folder: The checkpoint.
    """
    write_json(folder / MANIFEST, {"files": _list_sizes(folder)})


def is_complete(folder: Path) -> bool:
    """Tell whether a checkpoint is whole.

    Args:
        folder: The checkpoint.

    Returns:
        False if its list of files is missing or unreadable, or if a file of the list is
        missing or has another size.
    """
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    found = _list_sizes(folder)
    return all(found.get(name) == size for name, size in listed.items())


def list_checkpoints(folder: Path) -> list[Path]:
    """List checkpoints, complete or not.

    Args:
        folder: Where they lie; need not exist.

    Returns:
        The folders ``checkpoint-<step>``, lowest step first.
    """
    if not folder.is_dir():
        return []
    steps = {path: _NAME.fullmatch(path.name) for path in folder.iterdir()}
    found = {path: int(name[1]) for path, name in steps.items() if name}
    return sorted(found, key=lambda path: found[path])


def find_last(folder: Path) -> Path | None:
    """Find the last complete checkpoint.

    Args:
        folder: Where the checkpoints lie; need not exist.

    Returns:
        The one with the highest step; None if there is none. Incomplete ones are
        skipped, with a warning in the log.
    """
    for path in reversed(list_checkpoints(folder)):
        if is_complete(path):
            return path
        _LOG.warning("%s is not complete and is skipped.", path)
    return None


def choose_checkpoint(folder: Path, resume: str | Path | bool | None) -> Path | None:
    """Choose where a run starts.

    Args:
        folder: Where the checkpoints lie.
        resume: A checkpoint; True for the last complete one; else none.

    Returns:
        The checkpoint, or None.

    Raises:
        ConfigError: It is missing or incomplete, or there is no complete one.
    """
    if not resume:
        return None
    chosen = find_last(folder) if resume is True else Path(resume)
    if chosen is not None and is_complete(chosen):
        return chosen
    asked = "the last one, but none is complete" if resume is True else str(resume)
    there = ", ".join(path.name for path in list_checkpoints(folder))
    raise ConfigError(
        f"resume_from_checkpoint: must be a complete checkpoint, got {asked}. In "
        f"{folder}: {there or 'no checkpoints'}. Name a complete one, or start anew."
    )


def is_at_end(checkpoint: Path, *, max_steps: int) -> bool:
    """Tell whether a checkpoint is the last of its run.

    Args:
        checkpoint: A complete checkpoint.
        max_steps: Steps that the run is to have.

    Returns:
        Whether all steps were made, or early stopping had spoken.
    """
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    if state["global_step"] >= max_steps:
        return True
    stop = state.get("stateful_callbacks", {}).get("EarlyStoppingCallback")
    if not isinstance(stop, dict):
        return False
    waited = stop["attributes"]["early_stopping_patience_counter"]
    return waited >= stop["args"]["early_stopping_patience"]


def finish(folder: Path, name: str, *, keep: int | None, best: str | None) -> None:
    """Give a checkpoint its name, and delete the oldest ones.

    Args:
        folder: Where checkpoints lie; ``folder / STAGING / name`` is the new one.
        name: ``checkpoint-<step>``.
        keep: Most checkpoints that stay, the new one included; None: all.
        best: Name of the best checkpoint, which stays in any case; or None.
    """
    draft = folder / STAGING / name
    seal(draft)
    publish(draft, folder / name)
    clear_staging(folder)
    if keep is None:
        return
    olds = [path for path in list_checkpoints(folder) if path.name not in (name, best)]
    for path in olds[: max(0, len(olds) - (keep - 1))]:
        shutil.rmtree(path, ignore_errors=True)


def clear_staging(folder: Path) -> None:
    """Delete what a killed run left half-written.

    Args:
        folder: Where checkpoints lie; need not exist.
    """
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def _list_sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
