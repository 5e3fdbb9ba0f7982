"""Answers to all rows, dealt out over processes."""

import pytest
import torch.distributed as dist

from cotune._errors import ConfigError
from cotune.data import TaskSpec, load_tasks
from cotune.training import EvaluationSpec, Prediction, predict
from cotune.training import _predict as module
from training.small_runs import write_rows


def test_predictions_come_in_the_order_of_the_rows(load_kind, tasks):
    base = load_kind("embedding")
    one, answers = predict(
        base.model, base, tasks[1], part="train", spec=EvaluationSpec(batch_size=5)
    )
    assert answers == tasks[1].train["answer"]
    rows = [dict(row) for row in tasks[1].train]
    assert len(one) == len(rows)
    by_prompt = {}
    for row, prediction in zip(rows, one, strict=True):
        known = by_prompt.setdefault(row["prompt"], prediction.text)
        assert known == prediction.text


def test_rows_that_do_not_fit_are_left_out_with_their_answers(
    tmp_path, load_kind, caplog
):
    rows = [
        {"prompt": str(n), "options": ["a", "b" * (80 if n == 1 else 1)], "answer": "a"}
        for n in range(3)
    ]
    for part in ("train", "test"):
        changed = [{**row, "prompt": part + row["prompt"]} for row in rows]
        write_rows(tmp_path / "t" / f"{part}.jsonl", changed)
    spec = TaskSpec(name="t", source="t", kind="choice", on_bad_row="skip")
    some = load_tasks([spec], tmp_path)
    base = load_kind("causal", some)
    found, answers = predict(base.model, base, some[0])
    assert len(found) == len(answers) == 2
    assert "1 test rows do not fit" in caplog.text


def test_a_part_that_is_missing_says_how_to_get_it(tmp_path, load_kind):
    write_rows(
        tmp_path / "t" / "train.jsonl",
        [{"prompt": "a", "options": ["x", "y"], "answer": "x"}],
    )
    some = load_tasks([TaskSpec(name="t", source="t", kind="choice")], tmp_path)
    base = load_kind("causal", some)
    with pytest.raises(ConfigError, match=r"Set source\.validation, or set valid"):
        predict(base.model, base, some[0], part="validation")


def test_every_process_gets_the_same_number_of_batches_and_all_are_dealt(monkeypatch):
    monkeypatch.setattr(module, "_is_distributed", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    batches = [[0], [1], [2], [3], [4]]
    shares = []
    for rank in range(3):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        shares.append(module._deal(batches))
    assert shares == [[[0], [3]], [[1], [4]], [[2], [0]]]


def test_what_the_processes_found_is_put_together(monkeypatch):
    others = {1: Prediction("b", 1.0), 0: Prediction("a", 2.0)}

    def gather(parts, mine):
        parts[0], parts[1] = mine, others

    monkeypatch.setattr(module, "_is_distributed", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_gather_object", gather)
    found = module._gather({2: Prediction("c", 3.0), 0: Prediction("a", 2.0)})
    assert sorted(found) == [0, 1, 2] and found[1].text == "b"
