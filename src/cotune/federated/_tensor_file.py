"""Named tensors in one safetensors file that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .._errors import ConfigError

_DRAFT_AGE = 3600.0  # seconds


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]
) -> None:
    """Write a file that only its owner can read, in one move.

    A process that is killed on the way leaves the old file as it was, and a draft; a
    write to this folder removes drafts that are older than an hour.

    Args:
        path: Where; its folder must be there. A file that is there is replaced.
        tensors: Name -> tensor of any dtype; copied where they share memory.
        notes: Text to keep beside them.

    Raises:
        SafetensorError: The disk is full, or the folder must not be written to. The
            file is as it was, and no draft stays.
    """
    _remove_old_drafts(path.parent)
    # safetensors refuses views of one memory, and what is not contiguous.
    plain = {
        name: x.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, x in tensors.items()
    }
    # A folder, because safetensors makes drafts of its own beside its file.
    drafts = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    drafts.mkdir(mode=0o700, exist_ok=True)
    draft = drafts / path.name
    try:
        save_file(plain, draft, metadata=dict(notes))
        draft.chmod(0o600)
        _flush(draft)
        os.replace(draft, path)
        _flush(path.parent)
    finally:
        # Also after a fault: on a full disk a draft would take the room that is left.
        shutil.rmtree(drafts, ignore_errors=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file that :func:`write_tensors` wrote.

    Args:
        path: Where.

    Returns:
        Name -> tensor, and the notes.

    Raises:
        ConfigError: The file is missing, unreadable, or not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
            return tensors, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{path}: must be a whole safetensors file, got: {error}. "
            "Take it from a backup, or delete it and start again."
        ) from error


def _remove_old_drafts(folder: Path) -> None:
    # By age: another process may be writing one right now.
    for left in folder.glob(".*.tmp"):
        if time.time() - left.stat().st_mtime > _DRAFT_AGE:
            shutil.rmtree(left, ignore_errors=True)


def _flush(path: Path) -> None:
    # A name may point at bytes that never reached the disk, and a folder forget a name.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
