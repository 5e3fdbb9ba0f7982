"""Every task of the table: its rows, its rule, and how it starts."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from cotune import ConfigError
from cotune.embedded import FAMILIES, TASKS, World, draw_rows, split_world
from cotune.embedded import _words as words

ROWS = 300
MEANING = {
    **{n: kind for kind, group in words.NOUNS.items() for ws in group.values()
       for n in ws.split()},
    **dict.fromkeys(words.QUALITIES["size"][0].split(), "big"),
    **dict.fromkeys(words.QUALITIES["size"][1].split(), "small"),
    **{p: name for name, ws in words.PLACES.items() for p in ws.split()},
    **{k: name for name, ws in words.KEYS.items() for k in ws.split()},
}  # fmt: skip
"""Word -> what it means for the tasks."""

SORTING = {
    "gate": {"animal big": "red", "animal small": "blue",
             "plant big": "green", "plant small": "white"},
    "stamp": {"animal big": "circle", "animal small": "ring",
              "plant big": "star", "plant small": "cross"},
    "fee": {"animal big": "nine", "animal small": "three",
            "plant big": "two", "plant small": "five"},
}  # fmt: skip
PICKING = {"weather": 2, "family": 0, "body": 3, "music": 1}
OTHER_PICKING = {"weather": 1, "family": 3, "body": 0, "music": 2}
DOORS = {"water": "red", "town": "blue", "country": "green"}


def worlds(seed: int = 0) -> tuple[World, World]:
    return split_world(torch.Generator().manual_seed(seed))


def meanings(prompt: str) -> list[str]:
    plain = prompt.replace(",", " ").replace(".", " ").replace("?", " ")
    return [MEANING[word] for word in plain.split() if word in MEANING]


def first_meaning(prompt: str, among: object) -> str:
    return next(m for m in meanings(prompt) if m in among)


@pytest.fixture(params=list(TASKS))
def name(request) -> str:
    return request.param


def test_the_families_hold_every_task_once():
    assert sorted(sum(FAMILIES.values(), ())) == sorted(TASKS)
    assert [len(tasks) for tasks in FAMILIES.values()] == [3, 3, 2]


def test_a_row_has_distinct_options_and_its_answer_is_one_of_them(name):
    for row in draw_rows(name, ROWS, worlds()[0], seed=1):
        assert set(row) == {"prompt", "options", "answer"}
        assert len(set(row["options"])) == len(row["options"]) in (3, 4)
        assert row["answer"] in row["options"]


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(name):
    first = draw_rows(name, 50, worlds()[0], seed=1)
    assert first == draw_rows(name, 50, worlds()[0], seed=1)
    assert first == draw_rows(name, 80, worlds()[0], seed=1)[:50]
    assert first != draw_rows(name, 50, worlds()[0], seed=2)


def test_no_prompt_appears_twice_nor_in_both_splits(name):
    train, test = (draw_rows(name, ROWS, world, seed=1) for world in worlds())
    prompts = [row["prompt"] for row in train + test]
    assert len(set(prompts)) == 2 * ROWS


def test_every_answer_is_about_equally_frequent(name):
    rows = draw_rows(name, 900, worlds()[0], seed=1)
    places = Counter(row["options"].index(row["answer"]) for row in rows)
    share = 1 / len(rows[0]["options"])
    # Five standard deviations of a fair draw of 900 are at most 0.08.
    assert all(abs(places[i] / 900 - share) < 0.08 for i in range(round(1 / share)))


def test_prompts_are_words_of_the_world_and_answers_single_tokens(name, tokenizer):
    for row in draw_rows(name, 100, worlds()[0], seed=1):
        tokens = tokenizer.tokenize(row["prompt"])
        assert not any(token.startswith("<0x") for token in tokens)
        assert len(tokens) <= 20
        for option in row["options"]:
            assert len(tokenizer.tokenize(option)) == 1


def test_test_rows_decide_by_words_that_no_train_row_has(name):
    decide = {"sorting": ("big", "small"), "picking": words.KEYS}
    family = next(f for f, names in FAMILIES.items() if name in names)
    among = decide.get(family, words.PLACES if name == "door" else words.KEYS)

    def deciding(world: World) -> set[str]:
        text = " ".join(r["prompt"] for r in draw_rows(name, ROWS, world, seed=1))
        found = text.replace(".", " ").replace(",", " ").split()
        return {word for word in found if MEANING.get(word) in among}

    train, test = (deciding(world) for world in worlds())
    assert train and test and not train & test


@pytest.mark.parametrize("task", SORTING)
def test_sorting_answers_by_size_and_kind(task):
    for row in draw_rows(task, ROWS, worlds()[1], seed=1):
        size = first_meaning(row["prompt"], ("big", "small"))
        kind = first_meaning(row["prompt"], words.NOUNS)
        assert row["answer"] == SORTING[task][f"{kind} {size}"]


@pytest.mark.parametrize(
    ("task", "places"),
    [(task, PICKING) for task in FAMILIES["picking"]] + [("chip", OTHER_PICKING)],
)
def test_picking_answers_by_the_class_of_the_key(task, places):
    for row in draw_rows(task, ROWS, worlds()[1], seed=1):
        group = first_meaning(row["prompt"], words.KEYS)
        assert row["answer"] == row["options"][places[group]]
        assert ", ".join(row["options"]) in row["prompt"]


def test_door_looks_like_gate_and_answers_by_the_place():
    rows = draw_rows("door", ROWS, worlds()[1], seed=1)
    for row in rows:
        assert row["answer"] == DOORS[first_meaning(row["prompt"], words.PLACES)]
    gates = {r["prompt"].split()[1] for r in draw_rows("gate", 9, worlds()[1], seed=1)}
    assert {row["prompt"].split()[1] for row in rows} == gates == {"brings"}


def test_chip_keeps_the_place_of_no_class():
    assert all(PICKING[group] != OTHER_PICKING[group] for group in PICKING)
    assert sorted(OTHER_PICKING.values()) == sorted(PICKING.values())


def test_the_two_worlds_share_no_word_and_lose_none():
    train, test = worlds()
    for field, table in (("places", words.PLACES), ("keys", words.KEYS)):
        for group, all_words in table.items():
            parts = getattr(train, field)[group], getattr(test, field)[group]
            assert sorted([*parts[0], *parts[1]]) == sorted(all_words.split())
    assert not set(train.all_nouns()) & set(test.all_nouns())
    assert len(train.all_nouns()) == 60 and len(test.all_nouns()) == 36


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_number_of_rows_out_of_range_is_refused(count):
    with pytest.raises(ConfigError, match=f"rows must be 1 to 1000, got {count}"):
        draw_rows("gate", count, worlds()[0], seed=0)


def test_the_largest_number_of_rows_can_be_drawn_from_the_small_world(name):
    assert len(draw_rows(name, 1000, worlds()[1], seed=0)) == 1000


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean gate"):
        draw_rows("gat", 5, worlds()[0], seed=0)


@pytest.mark.slow
def test_the_base_model_starts_near_chance(name, model, tokenizer, compare):
    rows = draw_rows(name, ROWS, worlds()[1], seed=1)
    chance = 1 / len(rows[0]["options"])
    # Four standard deviations of a fair guess over 300 rows are 0.11. A base may lean
    # to one answer, so it may miss chance by a little more than that.
    assert abs(compare.score(model, compare.encode(rows, tokenizer)) - chance) < 0.15


@pytest.mark.slow
def test_a_lora_on_one_family_learns_its_rule_on_new_words(model, tokenizer, compare):
    train, test = worlds()
    rows = [r for t in FAMILIES["picking"] for r in draw_rows(t, 96, train, seed=3)]
    data = compare.encode(rows, tokenizer)
    adapted = compare.train_lora(model, data, compare.Run(), steps=200, seed=0)
    for task in FAMILIES["picking"]:
        fresh = compare.encode(draw_rows(task, 200, test, seed=4), tokenizer)
        # Chance is 0.25; five standard deviations above it are 0.40.
        assert compare.score(adapted, fresh) > 0.5
