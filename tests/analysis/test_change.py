import pytest
import torch

from cotune._adapter import Adapter, Factors
from cotune._errors import ConfigError
from cotune.analysis import change_from_start


def one_layer(A, B):
    A, B = torch.tensor(A)[None], torch.tensor(B)[None]
    return Adapter(layers={"q": Factors(A=A, B=B, scale=1.0)})


START = one_layer([[1.0, 0.0], [0.0, 2.0]], [[3.0, 4.0]])


def test_the_numbers_are_those_of_a_case_by_hand():
    # Columns of A: (1, 0) -> (0, 2), turned by a right angle and 1 longer; (0, 2) ->
    # (0, 1), same direction and 1 shorter.
    end = one_layer([[0.0, 0.0], [2.0, 1.0]], [[3.0, -4.0]])
    (a, b) = change_from_start(START, end, factors=("A", "B")).changes
    assert (a.magnitude, a.direction) == pytest.approx((1.0, 0.5))
    assert a.cosine == pytest.approx(2 / 5)
    # B has columns of one number: lengths stay, one of two signs turns.
    assert (b.magnitude, b.direction) == pytest.approx((0.0, 1.0))
    assert b.cosine == pytest.approx((9 - 16) / 25)


def test_a_longer_factor_changes_in_magnitude_only():
    end = one_layer([[3.0, 0.0], [0.0, 6.0]], [[3.0, 4.0]])
    (a,) = change_from_start(START, end).changes
    assert (a.cosine, a.direction) == pytest.approx((1.0, 0.0))
    assert a.magnitude == pytest.approx((2 + 4) / 2)


def test_columns_that_are_zero_before_and_after_did_not_turn():
    still = one_layer([[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0]])
    (a,) = change_from_start(still, still).changes
    assert (a.cosine, a.magnitude, a.direction) == pytest.approx((1, 0, 0))


def test_B_needs_a_state_after_some_steps():
    zero = one_layer([[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0]])
    with pytest.raises(ConfigError, match="B starts at zero"):
        change_from_start(zero, START, factors=("B",))


def test_the_reference_is_kept():
    found = change_from_start(START, START, reference="step 50")
    assert found.to_dict()["summary"]["reference"] == "step 50"


def test_states_of_other_runs_are_refused(adapter):
    with pytest.raises(ConfigError, match="same layers"):
        change_from_start(adapter(0), adapter(0, layers=3))
    with pytest.raises(ConfigError, match="A, B or both"):
        change_from_start(START, START, factors=("core",))
    with pytest.raises(ConfigError, match="one shape"):
        change_from_start(adapter(0), adapter(0, rank=3))
