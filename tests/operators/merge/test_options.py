import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.merge._options import (
    check_options,
    need_generator,
    options_of,
    wants,
)


def operator(
    updates,
    *,
    density: float = 0.2,
    scores: dict,
    rank: int | None = None,
    generator: torch.Generator,
):
    return updates


def test_the_options_are_the_keyword_only_arguments_but_for_the_reserved():
    options = options_of(operator)
    assert list(options) == ["density", "scores"]
    assert options["density"].default == 0.2
    assert list(options_of(operator, reserved=())) == [
        "density",
        "scores",
        "rank",
        "generator",
    ]


def test_an_unknown_option_gets_the_nearest_one():
    with pytest.raises(
        ConfigError, match=r"option of ties 'densty'\. Did you mean density\?"
    ):
        check_options("ties", operator, {"densty": 1, "scores": {}})


def test_a_missing_option_is_named():
    with pytest.raises(ConfigError, match="ties: scores must be given"):
        check_options("ties", operator, {"density": 1})


def test_a_generator_is_asked_for_with_the_line_to_write():
    assert wants(operator, "generator")
    with pytest.raises(ConfigError, match="manual_seed"):
        need_generator("dare", None)
