import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.data import make_generator
from cotune.data._split import cut_validation, draw_rows, find_leaks


def numbers(size):
    return Dataset.from_dict({"n": list(range(size))})


def cut(size, share, train_rows=None, seed=0):
    train, held = cut_validation(
        numbers(size),
        share=share,
        train_rows=train_rows,
        generator=make_generator(seed),
    )
    return train["n"][:], None if held is None else held["n"][:]


@given(size=st.integers(2, 60), share=st.floats(0.01, 0.5), seed=st.integers(0, 5))
def test_the_parts_share_no_row_and_miss_none(size, share, seed):
    train, held = cut(size, share, seed=seed)
    assert sorted(train + held) == list(range(size))
    assert len(held) == max(1, round(share * size))
    assert train == sorted(train)
    assert held == sorted(held)


def test_no_share_cuts_nothing():
    assert cut(5, 0.0) == (list(range(5)), None)


def test_smaller_training_parts_lie_in_larger_ones_beside_the_same_validation_part():
    small, held = cut(50, 0.2, train_rows=5)
    large, same = cut(50, 0.2, train_rows=20)
    assert held == same
    assert len(small) == 5
    assert set(small) < set(large)
    assert not set(large) & set(held)


def test_the_seed_decides():
    assert cut(50, 0.2, 5, seed=1) == cut(50, 0.2, 5, seed=1)
    assert cut(50, 0.2, 5, seed=1) != cut(50, 0.2, 5, seed=2)


def test_a_share_that_leaves_no_training_row_is_refused():
    with pytest.raises(ConfigError, match="at least one training row must be left"):
        cut(1, 0.5)


def test_rows_are_drawn_without_replacement_in_file_order():
    rows = draw_rows(numbers(30), 10, make_generator(0))["n"][:]
    assert len(set(rows)) == 10
    assert rows == sorted(rows)
    assert rows != list(range(10))
    assert draw_rows(numbers(3), 3, make_generator(0))["n"][:] == [0, 1, 2]


def rows(*prompts, options=("a", "b")):
    return Dataset.from_list(
        [
            {"prompt": p, "options": list(options), "answer": "a", "where": f"f:{i}"}
            for i, p in enumerate(prompts, 1)
        ]
    )


def test_a_test_row_that_was_trained_on_is_found():
    train = rows("one", "two")
    assert find_leaks(train, rows("three", " two\n", "one")) == ["f:2", "f:3"]
    assert find_leaks(train, rows("two", options=("b", "a"))) == ["f:1"]
    assert find_leaks(train, rows("two", options=("a", "c"))) == []


def test_a_chat_leaks_by_what_comes_before_the_answer():
    def chat(*contents):
        turns = [{"role": "user", "content": c} for c in contents]
        return Dataset.from_list([{"messages": turns, "answer": "x", "where": "f:1"}])

    assert find_leaks(chat("hi", "A"), chat("hi", "B")) == ["f:1"]
    assert find_leaks(chat("hi", "A"), chat("ho", "A")) == []
