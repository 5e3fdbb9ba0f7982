import importlib.util
import math

import pytest

from cotune._errors import ConfigError
from cotune.data import METRICS


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_names_itself_and_scores_row_by_row(name):
    metric = METRICS[name]
    assert metric.name == name
    given = [0.5, 1.5] if metric.reads == "loss" else ["a cat", "a dog"]
    rows = metric.score_rows(given, ["a cat", "the bird"])
    assert len(rows) == 2
    assert metric(given, ["a cat", "the bird"]) == sum(rows) / 2
    assert (rows[0] > rows[1]) == metric.higher_is_better


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("given", "wanted"), [([], []), (["a"], ["a", "b"])])
def test_every_metric_refuses_nothing_and_other_lengths(name, given, wanted):
    with pytest.raises(ConfigError, match="one prediction per reference"):
        METRICS[name](given, wanted)


def test_a_perfect_prediction_scores_one():
    for name, metric in METRICS.items():
        if metric.reads == "text":
            assert metric(["the cat sat"], ["the cat sat"]) == 1.0, name


def test_accuracy_is_letter_by_letter_and_exact_match_is_not():
    assert METRICS["accuracy"](["yes "], ["yes"]) == 0.0
    assert METRICS["exact_match"]([" a \n b"], ["a b"]) == 1.0
    assert METRICS["exact_match"](["cafe\u0301"], ["café"]) == 1.0
    assert METRICS["exact_match"](["Yes"], ["yes"]) == 0.0


def test_rouge_by_hand():
    # 3 of 4 words in order: precision 3/4, recall 3/4.
    given, wanted = ["the cat sat down"], ["the big cat sat"]
    assert METRICS["rouge1"](given, wanted) == pytest.approx(0.75, abs=1e-12)
    assert METRICS["rougeL"](given, wanted) == pytest.approx(0.75, abs=1e-12)
    # 1 of 3 word pairs.
    assert METRICS["rouge2"](given, wanted) == pytest.approx(1 / 3, abs=1e-12)
    assert METRICS["rougeL"]([""], wanted) == 0.0


def test_a_loss_that_is_not_a_number_is_refused():
    with pytest.raises(ConfigError, match="got NaN for the answer 'b'"):
        METRICS["loss"]([1.0, math.nan], ["a", "b"])


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "cotune\[rouge\]"'):
        METRICS["rougeL"].check_installed()
    METRICS["accuracy"].check_installed()
