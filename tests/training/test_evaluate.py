"""Scores with and without the adapter."""

import pytest
import torch

from cotune import ALoRAConfig
from cotune._errors import ConfigError
from cotune.training import adapt, choose_parts, evaluate, score_task, score_tasks
from cotune.training._evaluate import name_metrics
from training.small_runs import make_tasks

NAMES = ["plain", "flipped"]


@pytest.fixture
def adapted(load_kind):
    """Return a base and a by-task adapter that changes the answers."""
    base = load_kind("embedding")
    config = ALoRAConfig(
        r=4,
        lora_alpha=64,
        coupling="by-task",
        tasks=NAMES,
        target_modules=["query", "value"],
        init_weights=False,
    )
    torch.manual_seed(0)
    return base, adapt(base, config).eval()


def test_the_base_score_is_that_of_the_untouched_model(adapted, load_kind, tasks):
    base, model = adapted
    plain = load_kind("embedding")
    expected = score_tasks(plain.model, plain, tasks, choose_parts(tasks))
    found = evaluate(model, tasks, base)
    assert {one.task: one.base for one in found.tasks} == expected
    parts = choose_parts(tasks)
    with_adapter = score_tasks(model, base, tasks, parts)
    assert {one.task: one.adapter for one in found.tasks} == with_adapter
    assert [one.rows for one in found.tasks] == [12, 12]


def test_the_adapter_is_on_again_afterwards(adapted, tasks):
    base, model = adapted
    before = score_task(model, base, tasks[0], "test")
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    evaluate(model, tasks, base)
    assert score_task(model, base, tasks[0], "test") == before
    assert [n for n, p in model.named_parameters() if p.requires_grad] == trained


def test_the_base_can_be_left_out(adapted, tasks):
    base, model = adapted
    found = evaluate(model, tasks, base, compare_base=False)
    assert all(one.base is None and one.adapter is not None for one in found.tasks)


def test_a_model_without_an_adapter_counts_as_the_base(load_kind, tasks):
    base = load_kind("embedding")
    found = evaluate(base.model, tasks, base)
    assert all(one.adapter is None and one.base is not None for one in found.tasks)


def test_single_task_scores_give_dm(adapted, tasks):
    base, model = adapted
    found = evaluate(model, tasks, base, single={"plain": 0.5, "flipped": 0.5})
    assert found.dm_percent() is not None


def test_test_rows_are_scored_and_validation_rows_where_there_are_none(tmp_path):
    both = make_tasks(tmp_path / "a", rows=8)
    (task, _) = make_tasks(tmp_path / "b", rows=8, parts=("train", "validation"))
    assert choose_parts(both) == {"plain": "test", "flipped": "test"}
    assert choose_parts([task]) == {"plain": "validation"}


def test_a_task_without_rows_to_score_is_refused(tmp_path):
    (task, _) = make_tasks(tmp_path, rows=8, parts=("train",))
    with pytest.raises(ConfigError, match=r"'plain': there must be test or validation"):
        choose_parts([task])


def test_parts_can_be_chosen(adapted, tasks):
    base, model = adapted
    found = evaluate(model, tasks, base, parts=dict.fromkeys(NAMES, "train"))
    assert {(one.part, one.rows) for one in found.tasks} == {("train", 24)}


def test_a_loss_is_a_score_too(tmp_path, load_kind):
    (task,) = make_tasks(tmp_path, ["plain"], rows=8, metric="loss")
    base = load_kind("embedding", [task])
    score, loss = score_task(base.model, base, task, "test")
    assert score == loss and score > 0


def test_over_all_tasks_metrics_are_named_apart(tasks, tmp_path):
    (third,) = make_tasks(tmp_path, ["third"], rows=8, kind="text", metric="rougeL")
    some = [*tasks, third]
    scored = {"plain": (0.25, 1.0), "flipped": (0.75, 2.0), "third": (0.5, None)}
    assert name_metrics(some, scored) == {
        "plain_accuracy": 0.25,
        "plain_loss": 1.0,
        "flipped_accuracy": 0.75,
        "flipped_loss": 2.0,
        "third_rougeL": 0.5,
        "mean_accuracy": 0.5,
        "worst_accuracy": 0.25,
        "mean_rougeL": 0.5,
        "worst_rougeL": 0.5,
    }
