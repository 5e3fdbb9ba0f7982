import pytest

from cotune import ConfigError
from cotune.recipes._yaml import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-2E3", -2000.0),
        ("12", 12),
        ("1e", "1e"),
        ("e4", "e4"),
        ("'1e-4'", "1e-4"),
        ("[a, {b: null}]", ["a", {"b": None}]),
        ("", None),
    ],
)
def test_values_are_read_as_a_recipe_means_them(text, value) -> None:
    found = parse_yaml(text, "here")
    assert found == value
    assert type(found) is type(value)


def test_nothing_in_the_file_is_run() -> None:
    with pytest.raises(ConfigError, match="here: must be valid YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []", "here")


def test_a_merge_key_still_works() -> None:
    text = "base: &b {r: 8}\nadapter: {<<: *b, method: cola}\n"
    assert parse_yaml(text, "here")["adapter"] == {"r": 8, "method": "cola"}


def test_a_key_must_be_text() -> None:
    with pytest.raises(ConfigError, match="here: line 1: a key must be text, got True"):
        parse_yaml("yes: 1", "here")
