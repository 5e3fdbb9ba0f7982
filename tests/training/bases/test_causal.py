"""Causal language models: options by likelihood, texts written or scored."""

import pytest
import torch
import torch.nn.functional as F

from cotune import ALoRAConfig
from cotune.data import TaskSpec, load_tasks
from cotune.training import EvaluationSpec, adapt, predict
from training.small_runs import make_tasks, write_rows


def log_likelihood(base, prompt, answer):
    """Score an answer and its end, one token after the other."""
    ids = base.tokens.prompt({"prompt": prompt})
    total = 0.0
    for token in [*base.tokens.plain(answer), base.tokenizer.eos_token_id]:
        logits = base.model(input_ids=torch.tensor([ids])).logits[0, -1]
        total += float(F.log_softmax(logits.double(), -1)[token])
        ids = [*ids, token]
    return total


@torch.no_grad()
def test_options_are_ranked_by_their_summed_log_likelihood(load_kind, tasks):
    base = load_kind()
    predictions, answers = predict(base.model, base, tasks[0])
    for row, one, answer in zip(tasks[0].test, predictions, answers, strict=True):
        found = {o: log_likelihood(base, row["prompt"], o) for o in row["options"]}
        assert one.text == max(found, key=lambda option: found[option])
        size = len(answer) + 1  # One token per byte, and the end.
        assert one.loss == pytest.approx(-found[answer] / size, abs=1e-5)


def test_an_answer_that_begins_with_another_wins_once_it_is_learned(
    tmp_path, load_kind
):
    for part in ("train", "test"):
        row = {"prompt": part, "options": ["no", "no idea"], "answer": "no idea"}
        write_rows(tmp_path / "one" / f"{part}.jsonl", [row])
    specs = [TaskSpec(name="one", source="one", kind="choice")]
    (task,) = some = load_tasks(specs, tmp_path)
    base = load_kind(some=some)
    batch = base.collate(list(base.encode(task, "train")))
    optimizer = torch.optim.Adam(base.model.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        base.loss(base.model, batch).backward()
        optimizer.step()
    (prediction,), _ = predict(base.model, base, task)
    assert prediction.text == "no idea"


@pytest.mark.parametrize(
    ("kind", "metric", "form"),
    [
        ("choice", "accuracy", "causal_options"),
        ("label", "loss", "causal_options"),
        ("text", "loss", "causal"),
        ("text", "exact_match", "causal_prompt"),
    ],
)
def test_the_task_decides_how_it_is_scored(tmp_path, load_kind, kind, metric, form):
    (task,) = make_tasks(tmp_path, ["plain"], kind=kind, metric=metric)
    assert load_kind(some=[task]).form_to_score(task) == form


@torch.no_grad()
def test_a_text_is_scored_by_the_loss_that_training_has(tmp_path, load_kind):
    (task,) = make_tasks(tmp_path, ["plain"], kind="text")
    base = load_kind(some=[task])
    predictions, _ = predict(base.model, base, task)
    for row, one in zip(base.encode(task, "test"), predictions, strict=True):
        loss = base.loss(base.model, base.collate([row]))
        assert one.text is None and one.loss == pytest.approx(float(loss), abs=1e-5)


@torch.no_grad()
def test_an_answer_is_written_greedily_by_the_rows_own_task(tmp_path, load_kind):
    some = make_tasks(tmp_path, kind="text", metric="exact_match", rows=8)
    base = load_kind(some=some)
    config = ALoRAConfig(
        r=4,
        coupling="by-task",
        tasks=["plain", "flipped"],
        target_modules="all-linear",
        init_weights=False,
    )
    torch.manual_seed(0)
    model = adapt(base, config).eval()
    spec = EvaluationSpec(max_new_tokens=4, batch_size=3)
    written = {task.name: predict(model, base, task, spec=spec)[0] for task in some}
    for place, task in enumerate(some):
        for row, one in zip(task.test, written[task.name], strict=True):
            ids = base.tokens.prompt(row)
            new = []
            for _ in range(4):
                logits = model(
                    input_ids=torch.tensor([ids + new]), tasks=torch.tensor([place])
                ).logits
                new.append(int(logits[0, -1].argmax()))
                if new[-1] == base.tokenizer.eos_token_id:
                    break
            text = base.tokenizer.decode(new, skip_special_tokens=True)
            assert one.text == text.strip() and one.loss is None
    assert [w.text for w in written["plain"]] != [w.text for w in written["flipped"]]


@torch.no_grad()
def test_plain_models_write_too(tmp_path, load_kind):
    (task,) = make_tasks(tmp_path, ["plain"], kind="text", metric="exact_match", rows=4)
    base = load_kind(some=[task])
    spec = EvaluationSpec(max_new_tokens=2)
    predictions, _ = predict(base.model, base, task, spec=spec)
    assert all(isinstance(one.text, str) for one in predictions)
