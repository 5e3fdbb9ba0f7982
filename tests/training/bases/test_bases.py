"""Contract of every kind of base model."""

import pytest
import torch

from cotune import ALoRAConfig
from cotune._errors import ConfigError
from cotune.data import ENCODERS, Context, build_collator
from cotune.training import (
    BASES,
    BaseSpec,
    EvaluationSpec,
    Prediction,
    adapt,
    predict,
)
from cotune.training.bases import accepts_tasks
from training.small_runs import make_tasks

NAMES = ["plain", "flipped"]

pytestmark = pytest.mark.parametrize("kind", BASES)


@pytest.fixture
def by_task(load_kind, targets):
    """Return a function that loads a base with an adapter that depends on the task."""

    def make(kind):
        base = load_kind(kind)
        config = ALoRAConfig(
            r=4,
            coupling="by-task",
            tasks=NAMES,
            target_modules=targets(kind),
            init_weights=False,
        )
        torch.manual_seed(0)
        return base, adapt(base, config).eval()

    return make


def first_batch(base, tasks, rows=6):
    encoded = [base.encode(task)[n] for n in range(rows // 2) for task in tasks]
    return base.collate(encoded)


def test_a_base_is_loaded_in_evaluation_mode_with_its_names(kind, load_kind):
    base = load_kind(kind)
    assert not base.model.training
    assert base.names == ("plain", "flipped")
    assert not accepts_tasks(base.model)


def test_the_table_names_the_kind_in_the_spec(kind):
    assert BaseSpec(kind=kind).kind == kind


def test_rows_carry_the_place_of_their_task_in_the_bank(kind, load_kind, tasks):
    base = load_kind(kind, names=["other", "flipped", "plain"])
    assert set(base.encode(tasks[0])["tasks"]) == {2}
    assert set(base.encode(tasks[1])["tasks"]) == {1}


def test_a_task_that_the_bank_lacks_is_refused(kind, load_kind, tasks):
    base = load_kind(kind, names=["plane"])
    with pytest.raises(ConfigError, match="Did you mean plane"):
        base.encode(tasks[0])


def test_the_loss_has_gradients_and_is_the_mean_over_rows(kind, by_task, tasks):
    base, model = by_task(kind)
    batch = first_batch(base, tasks)
    loss = base.loss(model, batch)
    loss.backward()
    assert loss.ndim == 0 and torch.isfinite(loss)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert trained and all(p.grad is not None for p in trained)


def test_the_loss_over_given_items_is_the_sum_over_that_many(kind, by_task, tasks):
    base, model = by_task(kind)
    batch = first_batch(base, tasks)
    items = int((batch["labels"] != -100).sum())
    with torch.no_grad():
        mean, part = base.loss(model, batch), base.loss(model, batch, 10 * items)
    assert float(part) == pytest.approx(float(mean) / 10, rel=1e-5)


@torch.no_grad()
def test_the_loss_depends_on_the_task_through_the_adapter(kind, by_task, tasks):
    base, model = by_task(kind)
    batch = first_batch(base, tasks)
    other = {
        name: 1 - value if name.endswith("tasks") else value
        for name, value in batch.items()
    }
    assert float(base.loss(model, batch)) != float(base.loss(model, other))


@torch.no_grad()
def test_the_loss_of_a_model_without_an_adapter_does_not(kind, load_kind, tasks):
    base = load_kind(kind)
    batch = first_batch(base, tasks[:1], rows=2)
    other = {
        name: 1 - value if name.endswith("tasks") else value
        for name, value in batch.items()
    }
    if kind == "classifier":
        assert base.own[0] == base.own[1]
    assert float(base.loss(base.model, batch)) == float(base.loss(base.model, other))


def test_each_row_gets_an_option_and_a_loss(kind, by_task, tasks):
    base, model = by_task(kind)
    predictions, answers = predict(model, base, tasks[0])
    assert answers == tasks[0].test["answer"]
    for one in predictions:
        assert one.text in ("no", "yes") and one.loss is not None and one.loss >= 0


def test_the_likelier_option_is_picked(kind, by_task, tasks):
    # With two options, the loss of the answer tells which one must be picked: both
    # "no" and "yes" are rows of the same prompts in the two tasks.
    base, model = by_task(kind)
    form = base.form_to_score(tasks[0])
    rows = list(tasks[0].test)
    swapped = [
        {**row, "answer": "no" if row["answer"] == "yes" else "yes"} for row in rows
    ]
    losses = []
    for some in (rows, swapped):
        encoded = [encode(base, row, form) for row in some]
        batch = build_collator(form, base.tokenizer)(encoded)
        with torch.no_grad():
            found = base.score(model, tasks[0], batch, some, max_new_tokens=1)
        losses.append(found)
    for row, right, wrong in zip(rows, *losses, strict=True):
        assert right.text == wrong.text
        lengths = {"no": 2, "yes": 3} if kind == "causal" else {"no": 1, "yes": 1}
        other = "no" if row["answer"] == "yes" else "yes"
        total = right.loss * lengths[row["answer"]]
        total_other = wrong.loss * lengths[other]
        assert right.text == (row["answer"] if total < total_other else other)


def encode(base, row, form):
    context = Context(base.tokens, 40, base.labels)
    return {**ENCODERS[form](row, context), "tasks": 0, "row": 0}


def test_padding_changes_no_prediction(kind, by_task, tmp_path):
    base, model = by_task(kind)
    (task, _) = make_tasks(tmp_path, rows=16)
    one, _ = predict(model, base, task, spec=EvaluationSpec(batch_size=1))
    all_, _ = predict(model, base, task, spec=EvaluationSpec(batch_size=64))
    for left, right in zip(one, all_, strict=True):
        assert left.text == right.text
        assert left.loss == pytest.approx(right.loss, abs=1e-5)


def test_a_prediction_may_lack_text_or_loss(kind):
    assert Prediction(None, 1.0).text is None and Prediction("a", None).loss is None
