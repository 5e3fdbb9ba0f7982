"""Shapes of p(t) in stage 1."""

from __future__ import annotations

import itertools
import math

import pytest

from cotune.schedules import SHAPES

RISING = [name for name in SHAPES if name != "constant"]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_begins_at_zero_and_never_falls_or_leaves_the_unit_interval(name):
    values = [SHAPES[name](step / 100) for step in range(101)]
    assert values[0] == 0
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("name", RISING)
def test_every_rising_shape_ends_at_one(name):
    assert SHAPES[name](1.0) == 1.0


def test_shapes_have_the_values_of_their_formulas_half_way():
    assert SHAPES["linear"](0.5) == 0.5
    assert SHAPES["sine"](0.5) == pytest.approx(math.sqrt(0.5), abs=1e-15)
    assert SHAPES["exponential"](0.5) == pytest.approx(
        (math.e**0.5 - 1) / (math.e - 1), abs=1e-15
    )
    assert SHAPES["constant"](0.5) == 0
