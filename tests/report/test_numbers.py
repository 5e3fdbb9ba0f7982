from __future__ import annotations

import math

import pytest

from cotune.report._numbers import as_number, show_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.46461538, "0.4646"),
        (4.323e-05, "4.323e-05"),
        (123456.7, "123,457"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_numbers_are_short_and_readable(value: float | None, text: str) -> None:
    assert show_number(value) == text


@pytest.mark.parametrize("value", [None, "1", True, math.inf, math.nan, [1]])
def test_what_is_no_finite_number_becomes_none(value: object) -> None:
    assert as_number(value) is None


def test_finite_numbers_stay_as_they_are() -> None:
    assert as_number(3) == 3
    assert as_number(0.1) == 0.1
