"""Writes that are there as a whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any


def as_json(value: Any) -> Any:
    """Turn settings and numbers into what JSON can hold.

    Args:
        value: Mappings, lists, tuples, sets, enums, paths, texts, numbers.

    Returns:
        The same with sets as sorted lists; NaN and infinities become None.
    """
    match value:
        case Enum():
            return as_json(value.value)
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(as_json(item) for item in value)
        case list() | tuple():
            return [as_json(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case bool() | int() | str() | None:
            return value
    return str(value)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one move, with its bytes on the disk before.

    Args:
        path: Where; its folder is made. A file that is there is replaced.
        text: What, written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        # On a full disk a draft would take the room that is left.
        draft.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # A write does not say where.
        raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one move.

    Args:
        path: Where; its folder is made. A file that is there is replaced.
        content: Anything that JSON can hold; NaN and infinities cannot.

    Raises:
        ValueError: ``content`` cannot be written as JSON.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def publish(draft: Path, target: Path) -> None:
    """Move a finished folder to its place, in place of what is there.

    A folder cannot be replaced in one step; the old one is moved aside first, so that
    at no time a half-written folder has the name of a finished one.

    Args:
        draft: The finished folder, on the same disk.
        target: Where it belongs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in draft.rglob("*"):
        if path.is_file():
            _flush(path)
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(draft, target)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    # Renaming is atomic for the name only: the bytes must have reached the disk before.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
