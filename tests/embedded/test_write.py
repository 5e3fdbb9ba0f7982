"""The files of the tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cotune import ConfigError
from cotune.embedded import TASKS, write_tasks


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_task_gets_a_train_and_a_test_file(tmp_path):
    files = write_tasks(tmp_path)
    assert list(files) == list(TASKS)
    for name, paths in files.items():
        assert paths == {
            split: tmp_path / name / f"{split}.jsonl" for split in ("train", "test")
        }
        assert len(read(paths["train"])) == 96
        assert len(read(paths["test"])) == 200
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {"train.jsonl", "test.jsonl"}


def test_the_same_seed_writes_the_same_bytes_over_files_that_are_there(tmp_path):
    first = write_tasks(tmp_path, seed=3, train_rows=10, test_rows=10)
    before = [path.read_bytes() for pair in first.values() for path in pair.values()]
    again = write_tasks(tmp_path, seed=3, train_rows=10, test_rows=10)
    after = [path.read_bytes() for pair in again.values() for path in pair.values()]
    assert first == again and before == after


def test_another_seed_writes_other_rows_of_every_task(tmp_path):
    first, second = (
        write_tasks(tmp_path / str(seed), seed=seed, train_rows=20, test_rows=20)
        for seed in (0, 1)
    )
    for name in TASKS:
        for split in ("train", "test"):
            assert read(first[name][split]) != read(second[name][split])


def test_fewer_rows_are_the_first_ones_of_more(tmp_path):
    few = write_tasks(tmp_path / "few", train_rows=16, test_rows=10)
    many = write_tasks(tmp_path / "many", train_rows=64, test_rows=10)
    for name in TASKS:
        assert read(few[name]["train"]) == read(many[name]["train"])[:16]


def test_the_rows_of_seed_0_do_not_change(tmp_path):
    row = read(write_tasks(tmp_path, train_rows=1, test_rows=1)["gate"]["train"])[0]
    assert row == {
        "prompt": "david brings a compact ash from the school. which gate?",
        "options": ["red", "blue", "green", "white"],
        "answer": "white",
    }


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"train_rows": 0}, "rows must be 1 to 1000, got 0"),
        ({"test_rows": 5000}, "rows must be 1 to 1000, got 5000"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, faulty, message):
    with pytest.raises(ConfigError, match=message):
        write_tasks(tmp_path, **faulty)
