"""Encoders with a head: one output per label, each task among its own."""

import pytest
import torch

from cotune._errors import ConfigError
from cotune.data import TaskSpec, load_tasks
from cotune.training import predict, run_training
from training.small_runs import write_rows


@pytest.fixture
def two_sets(tmp_path):
    """Return two tasks with one label in common."""
    specs = []
    for name, labels in (("a", ("red", "green")), ("b", ("green", "blue", "grey"))):
        rows = [
            {"prompt": f"{name}{n}", "answer": labels[n % len(labels)]}
            for n in range(6)
        ]
        write_rows(tmp_path / name / "train.jsonl", rows)
        write_rows(
            tmp_path / name / "test.jsonl",
            [{**row, "prompt": "x" + row["prompt"]} for row in rows],
        )
        specs.append(TaskSpec(name=name, source=name, kind="label", options=labels))
    return load_tasks(specs, tmp_path)


def test_the_head_has_one_output_per_label_of_any_task(load_kind, two_sets):
    base = load_kind("classifier", two_sets)
    assert base.labels == ("red", "green", "blue", "grey")
    assert base.model.config.id2label[2] == "blue"
    assert base.own == ((True, True, False, False), (False, True, True, True))


@torch.no_grad()
def test_predictions_and_losses_are_among_the_tasks_own_labels(load_kind, two_sets):
    base = load_kind("classifier", two_sets)
    for task in two_sets:
        predictions, _ = predict(base.model, base, task)
        assert {one.text for one in predictions} <= set(task.labels)
    batch = base.collate([base.encode(two_sets[0])[0]])
    logits = base.classify(base.model, batch)[0]
    assert torch.isinf(logits[2:]).all() and torch.isfinite(logits[:2]).all()
    share = torch.softmax(logits[:2], -1)[batch["labels"][0]]
    assert float(base.loss(base.model, batch)) == pytest.approx(-float(share.log()))


def test_a_task_outside_the_run_owns_all_labels(load_kind, two_sets):
    base = load_kind("classifier", two_sets, names=["b", "other", "a"])
    assert base.own[1] == (True,) * 4
    assert base.own[0] == (False, True, True, True)


def test_the_recipe_can_fix_the_outputs(load_kind, two_sets):
    labels = ("grey", "blue", "green", "red", "white")
    assert load_kind("classifier", two_sets, spec={"labels": labels}).labels == labels


def test_outputs_that_lack_a_label_are_refused(load_kind, two_sets):
    with pytest.raises(ConfigError, match="got none for 'red'"):
        load_kind("classifier", two_sets, spec={"labels": ("green", "blue", "grey")})


@pytest.mark.slow
def test_the_head_is_trained_and_saved_with_the_adapter(
    tmp_path, base_spec, tasks, targets, quick
):
    from safetensors.torch import load_file

    from cotune import CoLAConfig

    result = run_training(
        base_spec("classifier"),
        tasks,
        CoLAConfig(r=2, target_modules=targets("classifier")),
        quick(),
        tmp_path / "run",
    )
    saved = load_file(result.saved / "adapter_model.safetensors")
    assert "base_model.model.classifier.weight" in saved
    before = result.base.model.classifier.original_module.weight
    assert not torch.equal(saved["base_model.model.classifier.weight"], before)
