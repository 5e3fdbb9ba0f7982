"""What an evaluation found: summaries, dm%, metrics.json."""

import json
import math

import pytest

from cotune._errors import ConfigError
from cotune.training import Evaluation, TaskScore


def score(task, base, adapter, *, metric="accuracy", single=None):
    higher = metric != "loss"
    return TaskScore(task, metric, higher, "test", 10, base, adapter, single)


BOTH = Evaluation((score("a", 0.5, 0.6), score("b", 0.25, 0.5), score("c", 0.5, 0.4)))


def test_mean_worst_task_and_spread_are_over_tasks():
    found = BOTH.summaries()["accuracy"]
    assert found.mean == pytest.approx(0.5)
    assert (found.worst, found.worst_task) == (0.4, "c")
    assert found.spread == pytest.approx(math.sqrt(0.02 / 3))
    assert BOTH.summaries("base")["accuracy"].worst_task == "b"


def test_the_worst_loss_is_the_largest_and_metrics_are_never_mixed():
    mixed = Evaluation(
        (
            score("a", 0.5, 0.6),
            score("b", 2.0, 1.0, metric="loss"),
            score("c", 2.0, 3.0, metric="loss"),
        )
    )
    found = mixed.summaries()
    assert found["accuracy"].mean == 0.6
    assert (found["loss"].mean, found["loss"].worst_task) == (2.0, "c")


def test_what_was_not_scored_has_no_summary():
    assert Evaluation((score("a", None, 0.6),)).summaries("base") == {}
    assert BOTH.summaries("single") == {}


def test_dm_is_the_mean_relative_change_and_a_gain_is_negative():
    # -(0.6 - 0.5) / 0.5 = -0.2;  (1.0 - 2.0) / 2.0 = -0.5: mean -0.35.
    found = Evaluation(
        (
            score("a", None, 0.6, single=0.5),
            score("b", None, 1.0, metric="loss", single=2.0),
        )
    )
    assert found.dm_percent() == pytest.approx(-35.0)
    assert found.dm_percent("base") is None


def test_dm_is_missing_where_it_is_not_defined():
    assert BOTH.dm_percent("single") is None
    assert Evaluation(()).dm_percent("base") is None
    assert Evaluation((score("a", 0.0, 0.6),)).dm_percent("base") is None


def test_single_task_scores_are_added_by_name():
    found = BOTH.with_single({"c": 0.3, "a": 0.1, "b": 0.2})
    assert [s.single for s in found.tasks] == [0.1, 0.2, 0.3]
    assert [s.single for s in BOTH.tasks] == [None] * 3


@pytest.mark.parametrize(
    ("single", "message"),
    [
        ({"a": 1.0}, "got none for b, c"),
        ({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, "Unknown task 'd'"),
    ],
)
def test_single_task_scores_must_be_those_of_the_tasks(single, message):
    with pytest.raises(ConfigError, match=message):
        BOTH.with_single(single)


def test_metrics_json_holds_everything(tmp_path):
    path = tmp_path / "metrics.json"
    BOTH.with_single({"a": 0.5, "b": 0.5, "c": float("nan")}).save(path)
    found = json.loads(path.read_text())
    assert found["tasks"]["b"] == {
        "task": "b",
        "metric": "accuracy",
        "higher_is_better": True,
        "part": "test",
        "rows": 10,
        "base": 0.25,
        "adapter": 0.5,
        "single": 0.5,
    }
    assert found["tasks"]["c"]["single"] is None
    assert found["summary"]["adapter"]["accuracy"]["worst_task"] == "c"
    assert found["dm_percent"]["base"] == pytest.approx(100 * (-0.2 - 1 + 0.2) / 3)
