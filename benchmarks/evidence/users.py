"""One task dealt out to users: every row to one of them, alike in every run."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from benchmarks.evidence.files import write
from cotune.data import RawRow, SourceSpec, make_generator
from cotune.data._source import open_source

ROOT = "users"
"""Value of ``data.root`` of a setting whose folders are tasks to be dealt out."""
USERS = 4


def deal(task: Path, folder: Path, users: int = USERS) -> None:
    """Write a folder per user with its share of a task's training and test rows.

    No two users have a row in common, so that none trains on what another one chooses
    its learning rate by or is tested on.

    Args:
        task: Folder with ``train.*`` and ``test.*``.
        folder: Where ``user-1`` and so on go; those that are there stay as they are.
        users: How many.
    """
    for name, part in open_source(SourceSpec(path=str(task))).items():
        rows = [row.values for row in part.rows() if isinstance(row, RawRow)]
        order = torch.randperm(len(rows), generator=make_generator("users", name))
        for user, own in enumerate(order.tensor_split(users), start=1):
            path = folder / f"user-{user}" / f"{name}.jsonl"
            if not path.is_file():
                lines = [json.dumps(rows[place]) + "\n" for place in own.tolist()]
                write(path, "".join(lines))
