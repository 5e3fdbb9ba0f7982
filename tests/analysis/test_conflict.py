import math

import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import conflict

GRADIENTS = {
    "x": {"q": torch.tensor([[3.0, 0.0]]), "v": torch.tensor([[0.0]])},
    "y": {"q": torch.tensor([[-1.0, 1.0]]), "v": torch.tensor([[2.0]])},
    "z": {"q": torch.tensor([[2.0, 1.0]]), "v": torch.tensor([[-5.0]])},
}


def test_the_numbers_are_those_of_a_case_by_hand():
    found = conflict(GRADIENTS)
    assert found.norms == pytest.approx((3, math.sqrt(6), math.sqrt(30)))
    xy, xz, yz = (pair.cosine for pair in found.pairs[:3])
    assert xy == pytest.approx(-3 / (3 * math.sqrt(6)))
    assert xz == pytest.approx(6 / (3 * math.sqrt(30)))
    assert yz == pytest.approx((-2 + 1 - 10) / math.sqrt(6 * 30))
    assert found.share_negative == pytest.approx(2 / 3)
    # In q: x with y, y with z. In v: y with z; x is zero there and opposes nobody.
    assert found.by_layer() == {"q": pytest.approx(2 / 3), "v": pytest.approx(1 / 3)}


def test_equal_gradients_never_oppose_and_opposite_ones_always():
    g = {"q": torch.ones(2, 2)}
    assert conflict({"x": g, "y": g}).share_negative == 0
    opposite = conflict({"x": g, "y": {"q": -torch.ones(2, 2)}})
    assert opposite.share_negative == 1
    assert opposite.matrix() == [[1.0, pytest.approx(-1)], [pytest.approx(-1), 1.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: {"x": g["x"]}, "two tasks are needed"),
        (lambda g: {**g, "z": {"q": g["z"]["q"]}}, "others for z"),
        (lambda g: {**g, "z": {**g["z"], "v": torch.zeros(2, 2)}}, "others for z"),
        (lambda g: {"x": {}, "y": {}}, "others for x"),
    ],
)
def test_gradients_that_cannot_be_compared_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        conflict(change(GRADIENTS))
