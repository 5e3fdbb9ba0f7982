import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data import MIXTURES, MixtureSpec
from cotune.data._mixture import count_rows, mix_by_temperature

SIZES = {"a": 100, "b": 400, "c": 1}


@pytest.mark.parametrize("name", MIXTURES)
def test_shares_of_every_mixture_sum_to_one_and_keep_order(name):
    shares = MixtureSpec(name=name).shares(SIZES)
    assert list(shares) == list(SIZES)
    assert math.isclose(sum(shares.values()), 1, rel_tol=1e-12)
    assert shares["b"] >= shares["a"] >= shares["c"] > 0


def test_shares_follow_their_formulas():
    close = {"rel": 1e-12, "abs": 0.0}
    shares = MixtureSpec(name="proportional").shares(SIZES)
    assert shares == pytest.approx(
        {"a": 100 / 501, "b": 400 / 501, "c": 1 / 501}, **close
    )
    assert MixtureSpec(name="uniform").shares(SIZES) == dict.fromkeys(SIZES, 1 / 3)
    # Square roots 10, 20, 1.
    shares = MixtureSpec(name="temperature").shares(SIZES)
    assert shares == pytest.approx({"a": 10 / 31, "b": 20 / 31, "c": 1 / 31}, **close)


def test_temperature_goes_from_proportional_to_uniform():
    one = mix_by_temperature(SIZES, temperature=1)
    assert one == pytest.approx(MixtureSpec().shares(SIZES), rel=1e-12)
    hot = mix_by_temperature(SIZES, temperature=1e9)
    assert hot == pytest.approx(dict.fromkeys(SIZES, 1 / 3), rel=1e-6)


@given(
    sizes=st.dictionaries(
        st.text(max_size=3), st.integers(1, 10_000), min_size=1, max_size=8
    ),
    extra=st.integers(0, 5000),
    name=st.sampled_from(list(MIXTURES)),
)
def test_counts_sum_to_the_epoch_and_give_every_task_a_row(sizes, extra, name):
    rows = len(sizes) + extra
    shares = MixtureSpec(name=name).shares(sizes)
    counts = count_rows(shares, rows)
    assert sum(counts.values()) == rows
    assert list(counts) == list(sizes)
    assert min(counts.values()) >= 1
    # Largest remainder: off by less than one, but for what lifting tasks to one takes.
    lifted = sum(shares[n] * rows < 1 for n in sizes)
    assert all(abs(counts[n] - shares[n] * rows) < 1 + lifted for n in sizes)


@given(
    sizes=st.dictionaries(
        st.text(max_size=3), st.integers(1, 10**6), min_size=1, max_size=8
    )
)
def test_proportional_counts_of_all_rows_are_the_sizes(sizes):
    assert count_rows(MixtureSpec().shares(sizes), sum(sizes.values())) == sizes


def test_counts_by_hand():
    assert count_rows({"a": 0.5, "b": 0.3, "c": 0.2}, 7) == {"a": 4, "b": 2, "c": 1}
    assert count_rows({"a": 0.98, "b": 0.01, "c": 0.01}, 5) == {"a": 3, "b": 1, "c": 1}


def test_an_epoch_below_one_row_per_task_is_refused():
    with pytest.raises(ConfigError, match="got 2 rows for 3 tasks"):
        count_rows(dict.fromkeys("abc", 1 / 3), 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "unform"}, "Unknown mixture 'unform'. Did you mean uniform"),
        ({"name": "uniform", "temperature": 2}, "temperature goes with name"),
        ({"name": "temperature", "temperature": 0.5}, "greater than or equal to 1"),
        ({"epoch_rows": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_mixture_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        MixtureSpec(**settings)
