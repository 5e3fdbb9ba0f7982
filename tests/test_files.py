"""Writes that are there as a whole or not at all."""

import errno
import json
import os
from enum import Enum
from pathlib import Path

import pytest

from cotune._files import as_json, publish, write_json


class Colour(Enum):
    RED = "red"


def test_settings_become_what_json_can_hold():
    value = {
        "set": {"b", "a"},
        "enum": Colour.RED,
        "path": Path("x/y"),
        "numbers": (1, 2.5, float("nan"), float("inf")),
        3: None,
    }
    assert as_json(value) == {
        "set": ["a", "b"],
        "enum": "red",
        "path": "x/y",
        "numbers": [1, 2.5, None, None],
        "3": None,
    }


def test_json_is_written_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_json(path, {"a": "ü"})
    write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [
        ("file.json", "1\n")
    ]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    for name in ("draft", "target"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / name).write_text(name)
    publish(tmp_path / "draft", tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
    assert [p.name for p in (tmp_path / "target" / "sub").iterdir()] == ["draft"]


def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, 1)

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_json(path, 2)
    assert caught.value.filename == str(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [
        ("file.json", "1\n")
    ]
