"""The collator that keeps the column ``tasks``."""

import pytest
import torch

from cotune._errors import ConfigError
from cotune.training import KeepTasks


def count(examples):
    assert all("tasks" not in example for example in examples)
    return {"x": torch.tensor([example["x"] for example in examples])}


def test_names_become_rows_of_the_bank_and_the_rest_is_left_alone():
    examples = [{"x": 1, "tasks": "b"}, {"x": 2, "tasks": "a"}]
    batch = KeepTasks(count, ["a", "b"])(examples)
    assert batch["tasks"].tolist() == [1, 0] and batch["tasks"].dtype == torch.int64
    assert batch["x"].tolist() == [1, 2]
    assert examples == [{"x": 1, "tasks": "b"}, {"x": 2, "tasks": "a"}]


def test_rows_of_the_bank_are_taken_as_they_are():
    batch = KeepTasks(count)([{"x": 1, "tasks": 3}, {"x": 1, "tasks": torch.tensor(0)}])
    assert batch["tasks"].tolist() == [3, 0]


def test_a_missing_column_says_what_to_set():
    with pytest.raises(ConfigError, match=r"got x\. Set remove_unused_columns=False"):
        KeepTasks(count, ["a"])([{"x": 1}])


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean alpha"):
        KeepTasks(count, ["alpha"])([{"x": 1, "tasks": "alpa"}])
