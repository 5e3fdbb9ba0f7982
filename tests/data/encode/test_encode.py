import logging

import pytest

from cotune._errors import ConfigError
from cotune.data import (
    COLLATORS,
    ENCODERS,
    IGNORED,
    EncodeSpec,
    RowError,
    Tokens,
    encode_task,
    join_labels,
)


@pytest.fixture
def encode(tokenizer):
    """Return a function that encodes a task; and the tokenizer it uses."""

    def encode(task, form, style="llama", part="train", task_id=0, **settings):
        tokens = Tokens(tokenizer(style), EncodeSpec(**settings))
        labels = join_labels([task]) if form == "classes" else ()
        return encode_task(
            task, form=form, tokens=tokens, task_id=task_id, part=part, labels=labels
        )

    return encode


def test_every_form_has_a_collator():
    assert list(ENCODERS) == list(COLLATORS)


@pytest.mark.parametrize("form", ENCODERS)
def test_every_form_keeps_task_and_row_and_is_deterministic(
    encode, load, make_rows, form
):
    task = load(make_rows(3), test=make_rows(5, start=3))
    data = encode(task, form, task_id=7, part="test")
    assert data["tasks"][:] == [7] * 5
    assert data["row"][:] == list(range(5))
    assert data[:] == encode(task, form, task_id=7, part="test")[:]


@pytest.mark.parametrize("form", ENCODERS)
def test_every_form_leaves_out_rows_that_do_not_fit_only_if_told(
    encode, load, make_rows, form, caplog
):
    long = [{"prompt": "p", "options": ["no", "y" * 90], "answer": "y" * 90}]
    rows = [*make_rows(1), *long, *make_rows(1, start=1)]
    if form in ("causal_prompt", "classes"):
        # Nothing of the answer's length is encoded: every row fits.
        labels = {"kind": "label"} if form == "classes" else {}
        assert len(encode(load(rows, **labels), form, max_length=40)) == 3
        return
    with pytest.raises(
        RowError, match=r"train.jsonl:2: .* got 1 bad|got 1 bad rows of 3"
    ):
        encode(load(rows), form, max_length=40)
    with caplog.at_level(logging.WARNING):
        kept = encode(load(rows, on_bad_row="skip"), form, max_length=40)
    assert kept["row"][:] == [0, 2]
    assert "1 train rows do not fit" in caplog.text
    with pytest.raises(RowError, match="got 1 bad rows of 1"):
        encode(load(long, on_bad_row="skip"), form, max_length=40)


@pytest.mark.parametrize("form", ENCODERS)
def test_no_sequence_of_any_form_is_longer_than_the_limit(
    encode, load, make_rows, form
):
    rows = [{**row, "prompt": row["prompt"] * 20} for row in make_rows(4)]
    task = load(rows, limits={"max_length": 16})
    for row in encode(task, form, max_length=999):
        lists = row["input_ids"] if form == "causal_options" else [row["input_ids"]]
        assert {len(ids) for ids in lists} == {16}


def test_the_limit_is_logged(encode, load, make_rows, caplog):
    with caplog.at_level(logging.INFO):
        encode(load(make_rows(4)), "causal", max_length=8)
    assert "4 train rows are as long as max_length allows" in caplog.text


def test_causal_rows_are_trained_on_the_answer_and_its_end_only(
    encode, load, make_rows, tokenizer
):
    row = encode(load(make_rows(2)), "causal")[1]
    core = tokenizer("llama")
    assert core.decode(row["input_ids"]) == "<s>question 1\nyes</s>"
    hidden = len("question 1\n") + 1
    assert row["labels"] == [IGNORED] * hidden + row["input_ids"][hidden:]
    assert core.decode(row["labels"][hidden:]) == "yes</s>"


def test_the_prompt_is_trained_on_too_if_the_recipe_says_so(encode, load, make_rows):
    row = encode(load(make_rows(2)), "causal", answer_only=False)[1]
    assert row["labels"] == row["input_ids"]


def test_a_cut_prompt_never_costs_the_answer_a_token(
    encode, load, make_rows, tokenizer
):
    row = encode(load(make_rows(2)), "causal", max_length=8)[1]
    assert tokenizer("llama").decode(row["input_ids"]) == "<s> 1\nyes</s>"
    assert sum(label != IGNORED for label in row["labels"]) == 4


def test_training_scoring_and_generation_see_the_same_prompt(encode, load, make_rows):
    task = load(make_rows(4))
    forms = ("causal", "causal_options", "causal_prompt")
    for trained, scored, prompt in zip(*(encode(task, f) for f in forms), strict=True):
        size = len(prompt["input_ids"])
        assert trained["input_ids"][:size] == prompt["input_ids"]
        right = scored["input_ids"][scored["answer"]]
        assert right == trained["input_ids"]
        for ids, labels in zip(scored["input_ids"], scored["labels"], strict=True):
            assert ids[:size] == prompt["input_ids"]
            assert labels == [IGNORED] * size + ids[size:]


@pytest.mark.parametrize("settings", [{}, {"chat": True}], ids=["text", "chat"])
def test_an_option_that_begins_another_ends_before_it_is_scored(
    load, tokenizer, chatml, settings
):
    row = {"prompt": "p", "options": ["no", "no idea"], "answer": "no idea"}
    tokens = Tokens(tokenizer("llama", chat_template=chatml), EncodeSpec(**settings))
    (scored,) = encode_task(
        load([row]), form="causal_options", tokens=tokens, task_id=0
    )
    short, long = scored["input_ids"]
    assert long[: len(short)] != short
    (trained,) = encode_task(load([row]), form="causal", tokens=tokens, task_id=0)
    assert long == trained["input_ids"]


def test_options_without_an_end_can_be_scored_if_the_tokenizer_has_none(
    load, make_rows, tokenizer
):
    tokens = Tokens(tokenizer("gpt", eos=None), EncodeSpec())
    (row,) = encode_task(
        load(make_rows(1)), form="causal_options", tokens=tokens, task_id=0
    )
    texts = [tokens.tokenizer.decode(ids) for ids in row["input_ids"]]
    assert texts == ["question 0\nno", "question 0\nyes"]


def test_embeddings_take_prompt_and_options_apart(encode, load, make_rows, tokenizer):
    row = encode(load(make_rows(2)), "embedding", style="bert")[1]
    core = tokenizer("bert")
    assert core.decode(row["input_ids"]) == "<s>question 1</s>"
    texts = [core.decode(ids) for ids in row["option_ids"]]
    assert texts == ["<s>no</s>", "<s>yes</s>"]
    assert row["labels"] == 1


@pytest.mark.parametrize("form", ["causal_options", "embedding"])
def test_free_text_has_no_options_to_score(encode, load, form):
    task = load([{"prompt": "p", "answer": "a"}], kind="text")
    with pytest.raises(RowError, match="must have options to choose from, got none"):
        encode(task, form)


def test_classes_are_numbered_over_all_tasks(load, make_rows, tokenizer):
    one = load(make_rows(2))
    two = load(make_rows(3, options=("maybe", "yes", "never")))
    labels = join_labels([one, two])
    assert labels == ["no", "yes", "maybe", "never"]
    tokens = Tokens(tokenizer("bert"), EncodeSpec())
    data = encode_task(two, form="classes", tokens=tokens, task_id=1, labels=labels)
    assert data["labels"][:] == [2, 1, 3]
    with pytest.raises(RowError, match="Unknown label 'maybe'"):
        encode_task(two, form="classes", tokens=tokens, task_id=1, labels=["yes", "no"])


def test_classes_need_the_same_options_in_every_row(load, make_rows):
    task = load(make_rows(2) + make_rows(2, options=("a", "b")))
    with pytest.raises(ConfigError, match="a classifier needs the same options"):
        join_labels([task])


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        ("test", "Set source.test."),
        ("validation", "Set source.validation, or set validation_share."),
    ],
)
def test_a_part_that_a_task_lacks_is_refused(encode, load, make_rows, part, advice):
    with pytest.raises(
        ConfigError, match=f"there must be {part} rows, got none. {advice}"
    ):
        encode(load(make_rows(2)), "causal", part=part)


def test_an_unknown_form_shows_the_nearest(encode, load, make_rows):
    with pytest.raises(ConfigError, match="Did you mean causal"):
        encode(load(make_rows(2)), "casual")


def test_a_chat_without_a_template_is_a_fault_of_its_row(encode, load, make_rows):
    with pytest.raises(
        RowError, match=r"jsonl:1: chat: the tokenizer must have a chat"
    ):
        encode(load(make_rows(2)), "causal", chat=True)
