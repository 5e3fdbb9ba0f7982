"""The shipped model: its bytes are the stated ones, and it loads without a network."""

from __future__ import annotations

import doctest
import hashlib
import json
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

import cotune.embedded._load as load
from cotune.embedded import load_model, load_tokenizer, model_folder
from cotune.embedded._words import vocabulary

WEIGHTS = model_folder() / "model.safetensors"
README = Path(load.__file__).parent / "README.md"
TEXTS = (
    "a trout is a fish.",
    "Hello, wörld!",
    "first line\nsecond line",
    "gap\n\nred",
    "日本 trout 12",
    "x",
)


def build_facts() -> dict:
    return json.loads((model_folder() / "build.json").read_text())


def test_the_weights_have_the_stated_hash_and_size():
    data, facts = WEIGHTS.read_bytes(), build_facts()
    assert hashlib.sha256(data).hexdigest() == facts["sha256"]
    assert len(data) == facts["bytes"] < 5_000_000


def test_the_readme_states_the_hash_seed_and_steps_of_the_build():
    text, facts = README.read_text(), build_facts()
    assert facts["sha256"] in text
    assert f"seed {facts['plan']['seed']}" in text
    assert f"{facts['plan']['steps']} steps" in text


def test_model_and_tokenizer_load_without_a_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a network connection was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    ids = load_tokenizer()("is a trout a fish?", return_tensors="pt")
    assert torch.isfinite(load_model()(**ids).logits).all()


def test_the_model_is_a_llama_in_fp32_that_is_ready_to_evaluate(model):
    assert isinstance(model, LlamaForCausalLM)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    shape = build_facts()["plan"]
    assert model.config.num_hidden_layers == shape["layers"]
    assert model.config.hidden_size == shape["hidden"]


def test_every_call_returns_a_new_model():
    first, second = load_model(), load_model()
    with torch.no_grad():
        first.lm_head.weight.zero_()
    assert second.lm_head.weight.abs().sum() > 0


def test_transformers_auto_classes_load_the_same(model, tokenizer):
    other = AutoTokenizer.from_pretrained(model_folder(), local_files_only=True)
    for text in TEXTS:
        assert other(text)["input_ids"] == tokenizer(text)["input_ids"]
    auto = AutoModelForCausalLM.from_pretrained(
        model_folder(), dtype=torch.float32, local_files_only=True
    )
    for name, value in model.state_dict().items():
        assert torch.equal(auto.state_dict()[name], value), name


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_gives_every_text_back(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_every_word_of_the_world_is_one_token(tokenizer, model):
    ids = tokenizer(vocabulary(), add_special_tokens=False)["input_ids"]
    assert {len(row) for row in ids} == {1}
    assert len({row[0] for row in ids}) == len(vocabulary())
    assert len(tokenizer) == model.config.vocab_size


def test_prompt_and_answer_have_the_same_tokens_apart_and_together(tokenizer):
    def plain(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    for separator in ("\n", " "):
        prompt = "card rain. trout, oak. take?"
        together = plain(f"{prompt}{separator}oak")
        apart = plain(prompt + separator.strip(" ")) + plain("oak")
        assert together == apart


def test_the_model_still_has_the_skills_that_the_build_measured(
    model, tokenizer, corpus
):
    rng, right, total = random.Random(7), 0, 0
    makers = [corpus.category_fact, corpus.list_place, corpus.story]
    for maker in makers:
        assert build_facts()["accuracy"][maker.__name__] > 0.9
        for document in (maker(rng) for _ in range(20)):
            ids = tokenizer(f"{document.prompt}\n", return_tensors="pt")
            best = int(model(**ids).logits[0, -1].argmax())
            right += tokenizer.decode([best]) == document.answer
            total += 1
    assert right / total > 0.85


def test_the_example_in_the_docstring_runs():
    finder = doctest.DocTestFinder().find(load.load_model, globs={})
    results = [doctest.DocTestRunner().run(test) for test in finder]
    assert sum(r.attempted for r in results) == 4
    assert sum(r.failed for r in results) == 0


@pytest.mark.slow
def test_importing_the_room_does_not_load_transformers():
    code = "import sys, cotune.embedded; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
