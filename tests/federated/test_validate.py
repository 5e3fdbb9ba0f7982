import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune.federated._fault import Fault
from cotune.federated._validate import ReplyCheck

SHAPES = {"q/A": (2, 3), "q/B": (4, 2)}


def good():
    return {name: torch.ones(shape) for name, shape in SHAPES.items()}


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def raw():
    return {name: npy(x.numpy()) for name, x in good().items()}


def code(found):
    return found.code if isinstance(found, Fault) else None


def changed(name, value):
    return {**good(), name: value}


def test_a_good_reply_has_no_fault():
    assert ReplyCheck()(good(), 12, SHAPES) is None


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        (None, "type"),
        ([], "type"),
        ({}, "keys"),
        ({"q/A": torch.ones(2, 3)}, "keys"),
        ({**good(), "more": torch.ones(1)}, "keys"),
        ({**good(), 7: torch.ones(1)}, "keys"),
        (changed("q/A", "text"), "type"),
        (changed("q/A", None), "type"),
        (changed("q/A", torch.ones(2, 3).to_sparse()), "type"),
        (changed("q/A", torch.ones(3, 2)), "shape"),
        (changed("q/A", torch.ones(2, 3, 1)), "shape"),
        (changed("q/A", torch.ones(())), "shape"),
        (changed("q/A", torch.ones(2, 3, dtype=torch.float64)), "dtype"),
        (changed("q/A", torch.ones(2, 3, dtype=torch.int64)), "dtype"),
        (changed("q/B", torch.full((4, 2), math.nan)), "not-finite"),
        (changed("q/B", torch.full((4, 2), -math.inf)), "not-finite"),
    ],
)
def test_every_fault_has_its_code(tensors, expected):
    assert code(ReplyCheck()(tensors, 1, SHAPES)) == expected


def test_one_nan_among_many_numbers_is_found():
    tensors = good()
    tensors["q/B"][3, 1] = math.nan
    assert code(ReplyCheck()(tensors, 1, SHAPES)) == "not-finite"


def test_large_finite_numbers_are_finite():
    tensors = changed("q/B", torch.full((4, 2), 3e38))
    assert ReplyCheck()(tensors, 1, SHAPES) is None


@pytest.mark.parametrize(
    "weight",
    [0, -9, 1e12, 10**400, math.nan, math.inf, True, "3", None, [1], 1 + 0j],
)
def test_a_weight_out_of_bounds_is_a_fault(weight):
    fault = ReplyCheck(max_weight=1000)(good(), weight, SHAPES)
    assert code(fault) == "weight"


@pytest.mark.parametrize("weight", [1, 0.5, 1000, np.float64(3)])
def test_a_weight_within_bounds_is_none(weight):
    assert ReplyCheck(max_weight=1000)(good(), weight, SHAPES) is None


def test_the_norm_bound_is_on_all_tensors_together():
    length = math.sqrt(6 + 8)
    assert ReplyCheck(max_norm=length * 1.001)(good(), 1, SHAPES) is None
    assert code(ReplyCheck(max_norm=length * 0.999)(good(), 1, SHAPES)) == "norm"


def test_the_norm_bound_is_on_the_distance_where_a_start_is_given():
    before = {name: x - 0.5 for name, x in good().items()}
    length = 0.5 * math.sqrt(6 + 8)
    tight, wide = (ReplyCheck(max_norm=length * f) for f in (0.999, 1.001))
    assert code(tight(good(), 1, SHAPES, before)) == "norm"
    assert wide(good(), 1, SHAPES, before) is None


def test_a_distance_that_overflows_does_not_pass_the_norm_bound():
    before = {name: torch.full_like(x, -3e38) for name, x in good().items()}
    tensors = {name: torch.full_like(x, 3e38) for name, x in good().items()}
    assert code(ReplyCheck(max_norm=1e30)(tensors, 1, SHAPES, before)) == "norm"


def test_nothing_expected_and_nothing_sent_is_good():
    assert ReplyCheck()({}, 1, {}) is None


def test_tensors_are_not_changed():
    tensors = good()
    ReplyCheck(max_norm=1.0)(tensors, 1, SHAPES, good())
    assert all(torch.equal(tensors[name], x) for name, x in good().items())


def test_a_fault_is_one_short_printable_line():
    hostile = {"x\n\x1b[31m" * 10_000: torch.ones(1), **good()}
    text = str(ReplyCheck()(hostile, 1, SHAPES))
    assert len(text) < 300
    assert text.isprintable()


def test_bytes_are_read_as_the_tensors_that_they_are():
    found = ReplyCheck().read(raw(), 1, SHAPES)
    assert not isinstance(found, Fault)
    assert list(found) == list(SHAPES)
    assert all(torch.equal(found[name], x) for name, x in good().items())


@pytest.mark.parametrize("data", [None, {}, {"q/A": npy(np.ones((2, 3), "f4"))}])
def test_replies_of_bytes_need_all_their_names(data):
    assert code(ReplyCheck().read(data, 1, SHAPES)) in {"type", "keys"}


def test_bytes_are_checked_as_tensors_are():
    bad = {**raw(), "q/B": npy(np.full((4, 2), np.nan, "f4"))}
    assert code(ReplyCheck().read(bad, 1, SHAPES)) == "not-finite"
    assert code(ReplyCheck().read(raw(), -9, SHAPES)) == "weight"
    wide = {**raw(), "q/B": npy(np.ones((4, 2), "f8"))}
    assert code(ReplyCheck().read(wide, 1, SHAPES)) == "dtype"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(tensors=anything, weight=anything)
def test_nothing_that_a_client_sends_makes_it_raise(tensors, weight):
    check = ReplyCheck(max_norm=1.0)
    assert isinstance(check(tensors, weight, SHAPES), Fault)
    assert isinstance(check.read(tensors, weight, SHAPES), Fault)
    if isinstance(tensors, dict):
        filled = {**tensors, **dict.fromkeys(SHAPES, weight)}
        assert isinstance(check(filled, 1, SHAPES), Fault)
