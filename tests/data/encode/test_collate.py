import copy

import pytest
import torch
from datasets import concatenate_datasets
from hypothesis import given
from hypothesis import strategies as st

from cotune.data import (
    COLLATORS,
    IGNORED,
    EncodeSpec,
    Padding,
    Tokens,
    build_collator,
    encode_task,
)

ROWS = st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=9), min_size=1)


@given(rows=ROWS, multiple=st.integers(1, 5), side=st.sampled_from(["left", "right"]))
def test_padding_adds_nothing_but_what_the_mask_hides(rows, multiple, side):
    batch = Padding(0, multiple).pad_ids(rows, side=side)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape[1] % multiple == 0
    assert ids.shape[1] - max(map(len, rows)) < multiple
    for row, found, shown in zip(rows, ids, mask, strict=True):
        assert found[shown.bool()].tolist() == row
        assert found[~shown.bool()].eq(0).all()
        edge = shown[-len(row) :] if side == "left" else shown[: len(row)]
        assert edge.all()


@pytest.fixture
def batch(load, make_rows, tokenizer):
    """Return a function that makes a mixed batch of two tasks in a form."""

    def batch(form):
        made = tokenizer("bert" if form in ("embedding", "classes") else "llama")
        tokens = Tokens(made, EncodeSpec())
        few, many = make_rows(2), make_rows(2, options=("yes", "never", "maybe"))
        labels = ["no", "yes", "never", "maybe"]
        parts = [
            encode_task(load(rows), form=form, tokens=tokens, task_id=i, labels=labels)
            for i, rows in ((3, few), (5, many))
        ]
        rows = list(concatenate_datasets(parts))
        return build_collator(form, made)(rows), rows

    return batch


@pytest.mark.parametrize("form", COLLATORS)
def test_every_batch_keeps_tasks_beside_its_sequences(batch, form):
    made, _ = batch(form)
    assert made["tasks"].dtype == torch.int64
    assert made["tasks"].shape == made["input_ids"].shape[:1]
    assert made["input_ids"].shape == made["attention_mask"].shape
    if form != "causal_options":
        assert made["tasks"].tolist() == [3, 3, 5, 5]
    assert all(value.dtype == torch.int64 for value in made.values())


@pytest.mark.parametrize("form", COLLATORS)
def test_a_batch_of_one_row_holds_that_row(load, make_rows, tokenizer, form):
    made = tokenizer("bert")
    row = encode_task(
        load(make_rows(1)),
        form=form,
        tokens=Tokens(made, EncodeSpec()),
        task_id=0,
        labels=["no", "yes"],
    )[0]
    found = build_collator(form, made)([row])["input_ids"].tolist()
    ids = row["input_ids"]
    if form == "causal_options":
        assert [f[: len(i)] for f, i in zip(found, ids, strict=True)] == ids
    else:
        assert found == [ids]


def test_causal_labels_are_ignored_where_there_is_no_token(batch):
    made, rows = batch("causal")
    assert made["labels"].shape == made["input_ids"].shape
    assert made["labels"][made["attention_mask"] == 0].eq(IGNORED).all()
    for labels, row in zip(made["labels"], rows, strict=True):
        assert labels[: len(row["labels"])].tolist() == row["labels"]


def test_options_are_laid_out_row_by_row(batch):
    made, rows = batch("causal_options")
    assert made["option_row"].tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    assert made["tasks"].tolist() == [3] * 4 + [5] * 6
    assert made["answer"].tolist() == [0, 1, 0, 1]
    flat = [ids for row in rows for ids in row["input_ids"]]
    for ids, mask, want in zip(
        made["input_ids"], made["attention_mask"], flat, strict=True
    ):
        assert ids[mask.bool()].tolist() == want


def test_prompts_to_generate_from_end_at_the_same_place(batch):
    made, _ = batch("causal_prompt")
    assert made["attention_mask"][:, -1].all()
    assert "labels" not in made


def test_an_option_of_a_task_is_embedded_once_and_never_for_two_tasks(batch):
    made, rows = batch("embedding")
    assert made["option_tasks"].tolist() == [3, 3, 5, 5, 5]
    assert made["option_index"].tolist() == [
        [0, 1, -1],
        [0, 1, -1],
        [2, 3, 4],
        [2, 3, 4],
    ]
    assert made["labels"].tolist() == [0, 1, 0, 1]
    for row, index in zip(rows, made["option_index"], strict=True):
        for place, want in zip(index, row["option_ids"], strict=False):
            mask = made["option_attention_mask"][place].bool()
            assert made["option_input_ids"][place][mask].tolist() == want


def test_classes_are_one_label_per_row(batch):
    made, _ = batch("classes")
    assert made["labels"].tolist() == [0, 1, 1, 2]
    assert set(made) == {"input_ids", "attention_mask", "labels", "tasks"}


@pytest.mark.parametrize("form", COLLATORS)
def test_rows_are_not_changed(batch, form):
    _, rows = batch(form)
    before = copy.deepcopy(rows)
    first, second = (COLLATORS[form](Padding(1))(rows) for _ in range(2))
    assert rows == before
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_causal_batch_trains_a_model_and_padding_changes_nothing(
    load, make_rows, tokenizer
):
    from helpers import tiny_model

    made = tokenizer("llama")
    model = tiny_model("llama", vocab_size=len(made), max_position_embeddings=64)
    data = encode_task(
        load(make_rows(3, options=("no", "certainly"))),
        form="causal",
        tokens=Tokens(made, EncodeSpec()),
        task_id=0,
    )
    collate = build_collator("causal", made)

    def loss(rows):
        inputs = collate(rows)
        inputs.pop("tasks")
        tokens = inputs["labels"].ne(IGNORED).sum().item()
        with torch.no_grad():
            return model(**inputs).loss.item() * tokens, tokens

    apart = [loss([row]) for row in data]
    total, tokens = loss(list(data))
    assert tokens == sum(count for _, count in apart) == 3 + 10 + 3
    assert total == pytest.approx(sum(value for value, _ in apart), rel=1e-5)
