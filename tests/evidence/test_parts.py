import numpy as np
import pytest
from benchmarks.evidence.parts import (
    FAILS,
    HOLDS,
    IN_PART,
    NOT_TESTABLE,
    Part,
    decide,
    part_by_rule,
    part_of,
    read_part,
)

from cotune import ConfigError
from cotune.recipes import paired_difference


def part(low: float, high: float, **more) -> Part:
    return Part("x", 0.0, 0.0, (low + high) / 2, low, high, **more)


UP, OPEN, DOWN = part(0.1, 0.3), part(-0.1, 0.1), part(-0.3, -0.1)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (UP, "holds"),
        (OPEN, "open"),
        (DOWN, "reversed"),
        (part(-0.3, -0.1, less=True), "holds"),
        (part(0.1, 0.3, less=True), "reversed"),
        (part(-0.1, 0.1, less=True), "open"),
        (part(-0.01, 0.1, margin=-0.02), "holds"),
        (part(-0.03, 0.1, margin=-0.02), "open"),
        (part(0.1, 0.3, at_chance=True), "at chance"),
        (part_by_rule("x", 2.0, ">= 1", True), "holds"),
        (part_by_rule("x", 0.0, ">= 1", False), "reversed"),
    ],
)
def test_the_interval_decides_the_outcome(one: Part, outcome: str) -> None:
    assert one.outcome == outcome


def test_an_end_of_the_interval_on_the_margin_decides_nothing() -> None:
    assert part(0.0, 0.2).outcome == "open"


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([UP, UP], HOLDS),
        ([UP, OPEN], IN_PART),
        ([UP, DOWN], IN_PART),
        ([OPEN, DOWN], FAILS),
        ([part(0.1, 0.3, at_chance=True)], NOT_TESTABLE),
        ([UP, part(-1, 0, at_chance=True)], HOLDS),
        ([DOWN, part(0.1, 0.3, counts=False)], FAILS),
        ([part(0.1, 0.3, counts=False)], NOT_TESTABLE),
        ([], NOT_TESTABLE),
    ],
)
def test_the_parts_decide_the_verdict(parts: list[Part], verdict: str) -> None:
    assert decide(parts) == verdict


def test_a_part_compares_in_pairs() -> None:
    # The seeds differ a lot, the arms always by .1: the interval knows.
    found = part_of("x", [0.2, 0.5, 0.9], [0.1, 0.4, 0.8])
    assert found.difference == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)
    assert found.outcome == "holds"


def test_the_interval_of_numbers_is_students() -> None:
    # Mean 2, deviation sqrt(2.5), t(.975; 4) = 2.776.
    found = part_of("x", [0.0, 1.0, 2.0, 3.0, 4.0], 0.0)
    half = 2.7764 * (2.5 / 5) ** 0.5
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)


def test_the_interval_of_five_numbers_covers_and_a_bootstrap_would_not() -> None:
    # 1000 worlds: a share of .95 has a standard error of .007.
    worlds = np.random.default_rng(0).normal(size=(1000, 5))
    covered = [(p.low <= 0 <= p.high) for p in (part_of("x", w, 0.0) for w in worlds)]
    assert sum(covered) / 1000 == pytest.approx(0.95, abs=0.02)
    drawn = [
        paired_difference([{"x": [one]} for one in w], [{"x": [0.0]}] * 5, draws=500)
        for w in worlds[:300]
    ]
    assert sum(gap.low <= 0 <= gap.high for gap in drawn) / 300 < 0.9


@pytest.mark.parametrize("theirs", [0.0, [0.0], [0.0, 0.0]])
def test_one_number_has_no_interval(theirs) -> None:
    with pytest.raises(ConfigError, match="x: both sides must have as many numbers"):
        part_of("x", [1.0], theirs)


def test_a_part_compares_with_a_fixed_number() -> None:
    found = part_of("x", [0.6, 0.8], 0.5)
    assert (found.value, found.reference) == pytest.approx((0.7, 0.5))
    assert found.difference == pytest.approx(0.2)


def test_a_part_survives_json() -> None:
    one = part_of("x", [0.6, 0.61, 0.62], 0.5, less=True, margin=0.05)
    assert one.as_dict()["outcome"] == "reversed"
    assert read_part(one.as_dict()) == one
