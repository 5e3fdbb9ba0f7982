import math

import pytest

from cotune._errors import ConfigError
from cotune.data._values import as_text, get_field, say_unknown, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" kept as is\n", " kept as is\n"),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (["a", 1], "a, 1"),
    ],
)
def test_values_become_text(value, text):
    assert as_text(value, "field 'x'") == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "must be text or a number, got None"),
        (math.nan, "must be text or a number, got nan"),
        (math.inf, "must be text or a number, got inf"),
        ({"a": 1}, "must be text or a number, got {'a': 1}"),
        (["a", None], "must be text or a number"),
        ("", "must not be empty, got ''"),
        (" \n\t", "must not be empty"),
        ([], "must not be empty"),
        ("half \ud800", "must be text that UTF-8 can write"),
    ],
)
def test_values_without_text_are_refused(value, problem):
    with pytest.raises(ConfigError) as error:
        as_text(value, "field 'x'")
    assert str(error.value).startswith("field 'x' " + problem)


def test_a_missing_field_shows_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean anser"):
        get_field({"prompt": 1, "anser": 2}, "answer")


def test_messages_stay_short_whatever_came():
    assert len(shorten("x" * 1000)) == 60
    known = [f"name{i}" for i in range(1000)]
    message = say_unknown("name", "name77" + "x" * 1000, known)
    assert len(message) < 300
    message = say_unknown("name", "name777x", known)
    assert "Did you mean name777" in message
