import pytest
import torch

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.merge._inputs import (
    check_inputs,
    check_share,
    pad_rank,
    same_rank,
)


def test_short_dtypes_are_lifted_and_the_result_dtype_is_remembered(draw):
    inputs = check_inputs("mix", [draw(0, dtype=torch.bfloat16)], [1.0])
    assert inputs.updates[0].A.dtype == torch.float32
    assert inputs.dtype == torch.bfloat16


def test_one_double_makes_all_double(draw):
    updates = [draw(0, dtype=torch.float32), draw(1, dtype=torch.float64)]
    inputs = check_inputs("mix", updates, [1.0, 1.0])
    assert {update.A.dtype for update in inputs.updates} == {torch.float64}


def test_negative_weights_move_their_sign_into_the_update(draw):
    updates = [draw(0), draw(1)]
    inputs = check_inputs("ties", updates, [2.0, -3.0]).positive()
    assert inputs.weights == [2.0, 3.0]
    assert torch.equal(inputs.updates[0].delta(), updates[0].delta())
    assert torch.equal(inputs.updates[1].delta(), -updates[1].delta())


def test_padding_keeps_the_product_and_adds_zeros(draw):
    update = draw(0, rank=2)
    padded = pad_rank(update, 5)
    assert padded.rank == 5
    assert torch.equal(padded.A[:2], update.A)
    assert not padded.A[2:].any()
    assert not padded.B[:, 2:].any()
    assert pad_rank(update, 2) is update


def test_the_same_rank_is_the_largest(draw):
    ranks = [update.rank for update in same_rank([draw(0, rank=1), draw(1, rank=4)])]
    assert ranks == [4, 4]


def test_shapes_are_shown_when_they_differ(draw):
    updates = [draw(0), LowRank(torch.ones(1, 2), torch.ones(3, 1))]
    with pytest.raises(ConfigError, match=r"\[\(3, 2\), \(6, 5\)\]"):
        check_inputs("mix", updates, [1.0, 1.0])


@pytest.mark.parametrize(
    ("value", "zero", "fine"),
    [(0.0, True, True), (0.0, False, False), (1.0, False, True), (1.01, True, False)],
)
def test_a_share_lies_in_its_interval(value, zero, fine):
    if fine:
        check_share("dare", "density", value, zero=zero)
        return
    with pytest.raises(ConfigError, match="dare: density must be in"):
        check_share("dare", "density", value, zero=zero)
