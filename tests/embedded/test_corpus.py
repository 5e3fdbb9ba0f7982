"""The pre-training texts: what is in them, and that the eight tasks are not."""

from __future__ import annotations

import random
import re

import pytest
import torch

from cotune.embedded import TASKS, draw_rows, split_world
from cotune.embedded._words import vocabulary

DOCUMENTS = 20_000
FRAMES = {
    "gate": ("brings", "gate"),
    "stamp": ("parcel", "stamp"),
    "fee": ("clerk", "weighs"),
    "card": ("card", "take"),
    "shelf": ("hears", "picks"),
    "lot": ("ticket", "sold"),
    "door": ("brings", "door"),
    "chip": ("chip", "take"),
}
"""Two words that every prompt of a task has."""


@pytest.fixture(scope="module")
def texts(corpus) -> list[str]:
    documents = corpus.draw_documents(DOCUMENTS, random.Random(5))
    return [f"{d.prompt} {d.answer}" for d in documents]


@pytest.mark.slow
def test_no_document_has_the_frame_of_a_task(texts):
    train, _ = split_world(torch.Generator().manual_seed(0))
    assert set(FRAMES) == set(TASKS)
    for name, frame in FRAMES.items():
        for row in draw_rows(name, 20, train, seed=0):
            assert set(frame) <= set(re.findall(r"\w+", row["prompt"]))
        # Lists to copy draw on all words, so one may hold both by chance, as a list.
        rule = [t for t in texts if not t.startswith(("copy", "backwards"))]
        assert not [t for t in rule if set(frame) <= set(re.findall(r"\w+", t))]


def test_the_documents_are_words_of_the_world_but_for_two(texts, tokenizer):
    """Two question words were left out of the vocabulary; they are read as bytes."""
    words = set(vocabulary())
    plain = [t for t in texts if not t.startswith("copy")]
    strange = {word for t in plain for word in re.findall(r"\w+", t)} - words
    assert strange == {"place", "day"}
    ids = tokenizer(plain[:3000])["input_ids"]
    assert sum(map(len, ids)) / 3000 < 25


def test_the_same_seed_draws_the_same_documents(corpus):
    first = corpus.draw_documents(200, random.Random(1))
    assert first == corpus.draw_documents(200, random.Random(1))
    assert first != corpus.draw_documents(200, random.Random(2))


def test_every_maker_makes_texts_with_an_answer(corpus):
    for maker in corpus.MIXTURE:
        made = [maker(random.Random(seed)) for seed in range(50)]
        assert all(d.prompt.strip() and d.answer.strip() for d in made), maker.__name__
        assert len({d.prompt for d in made}) > 25, maker.__name__


def test_stated_rules_draw_their_labels_afresh(corpus):
    rng = random.Random(0)
    made = [corpus.stated_rule(rng) for _ in range(2000)]
    labels = {d.answer for d in made if "fish is" in d.prompt}
    assert len(labels) > 20
