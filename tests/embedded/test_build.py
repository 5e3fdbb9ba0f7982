"""The script that makes the model: the shipped files are what it would write."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import pytest
import torch

from cotune.embedded import model_folder


@pytest.fixture(scope="module")
def small(build):
    return build.Plan(steps=3, windows=4, width=32, hidden=32, inner=32, layers=1)


def test_the_shipped_model_was_built_with_the_default_plan(build):
    facts = json.loads((model_folder() / "build.json").read_text())
    assert facts["plan"] == asdict(build.Plan())


def test_the_script_makes_the_shipped_tokenizer(build):
    made = json.loads(build.build_tokenizer().backend_tokenizer.to_str())
    assert made == json.loads((model_folder() / "tokenizer.json").read_text())


def test_the_script_makes_a_model_of_the_shipped_shape(build, model, tokenizer):
    made = build.build_model(build.Plan(), len(tokenizer))
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: v.shape for name, v in made.state_dict().items()} == shapes


def test_a_batch_weighs_answers_more_than_prompts(build, small, tokenizer):
    core = tokenizer.backend_tokenizer
    ids, weights = build.draw_batch(small, core, random.Random(0))
    assert ids.shape == weights.shape == (4, 32)
    assert set(weights.unique().tolist()) == {torch.tensor(0.1).item(), 1.0}
    assert (weights[ids == build.START] < 1).all()
    assert (weights[ids == build.END] == 1).all()


def test_the_same_seed_trains_the_same_model(build, small, tokenizer):
    core, found = tokenizer.backend_tokenizer, []
    for _ in range(2):
        model = build.build_model(small, len(tokenizer))
        assert list(build.train(model, core, small))
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*found)


def test_another_seed_begins_with_other_weights(build, small, tokenizer):
    first, second = (
        build.build_model(replace(small, seed=seed), len(tokenizer)).lm_head.weight
        for seed in (0, 1)
    )
    assert not torch.equal(first, second)


def test_the_learning_rate_rises_and_falls(build):
    plan = build.Plan()
    rates = [build.learning_rate(plan, step) for step in range(plan.steps)]
    assert rates.index(max(rates)) == plan.warmup - 1
    assert rates[0] < 0.01 * plan.learning_rate
    assert rates[-1] == pytest.approx(0.02 * plan.learning_rate, rel=1e-2)


def test_a_build_is_written_as_a_whole_and_replaces_the_old_one(
    build, small, tokenizer, tmp_path
):
    out = tmp_path / "model"
    out.mkdir()
    (out / "old.txt").write_text("old")
    model = build.build_model(small, len(tokenizer))
    build.write(out, small, model, tokenizer, 1.0, {"story": 0.5})
    facts = json.loads((out / "build.json").read_text())
    assert facts["plan"] == asdict(small)
    assert facts["bytes"] == (out / "model.safetensors").stat().st_size
    assert not (out / "old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
