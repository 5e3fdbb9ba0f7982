import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.operators.prune._threshold import (
    count_kept,
    keep_above,
    keep_largest,
    magnitude_threshold,
)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        min_size=1,
        max_size=20,
    ),
    cut=st.integers(0, 20),
    place=st.integers(0, 20),
    double=st.booleans(),
)
def test_the_threshold_is_the_kth_largest_magnitude(values, cut, place, double):
    dtype = torch.float64 if double else torch.float32
    tensor = torch.tensor(values, dtype=dtype)
    kept = 1 + place % len(values)
    parts = [tensor[:cut], tensor[cut:]]
    found = magnitude_threshold(lambda: parts, kept, dtype)
    assert found == tensor.abs().sort(descending=True).values[kept - 1].item()


def test_nothing_kept_has_an_infinite_threshold():
    assert magnitude_threshold(lambda: [torch.ones(3)], 0, torch.float32) == math.inf


def test_bfloat16_and_negative_zero_are_compared_as_numbers():
    tensor = torch.tensor([-0.0, -3.0, 2.0, 0.5]).bfloat16()
    assert magnitude_threshold(lambda: [tensor], 2, torch.float32) == 2.0
    assert magnitude_threshold(lambda: [tensor], 4, torch.float32) == 0.0
    assert keep_above(tensor, 2.0).tolist() == [0.0, -3.0, 2.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(ConfigError, match="must be finite"):
        magnitude_threshold(lambda: [torch.tensor([1.0, bad])], 1, torch.float32)
    with pytest.raises(ConfigError, match="must be finite"):
        keep_largest(torch.tensor([1.0, bad]), 0.5)


@pytest.mark.parametrize(
    ("total", "density", "kept"),
    [(8, 0.0, 0), (8, 0.01, 1), (8, 0.5, 4), (8, 1.0, 8), (10, 0.25, 2), (0, 0.5, 0)],
)
def test_a_share_keeps_at_least_one_entry_unless_it_is_zero(total, density, kept):
    assert count_kept(total, density) == kept


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    density=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_the_largest_entries_stay_and_are_unchanged(rows, columns, density, seed):
    tensor = torch.randn(
        rows, columns, generator=torch.Generator().manual_seed(seed)
    ).double()
    kept = keep_largest(tensor, density)
    count = count_kept(rows * columns, density)
    assert int(kept.count_nonzero()) == count
    expected = torch.zeros(rows * columns).double()
    order = tensor.flatten().abs().argsort(descending=True)[:count]
    expected[order] = tensor.flatten()[order]
    assert torch.equal(kept.flatten(), expected)


def test_entries_equal_to_the_smallest_kept_stay_too():
    assert keep_largest(torch.ones(2, 2), 0.25).tolist() == [[1, 1], [1, 1]]
