from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import average_factors

LAYER = "model.layers.0.q_proj"


def test_every_tensor_is_averaged(adapter):
    one, other = adapter(0), adapter(1)
    found = average_factors([one, other], [0.25, 0.75])
    for layer in one.layers:
        for name in ("A", "B"):
            expected = 0.25 * getattr(one.layers[layer], name)
            expected = expected + 0.75 * getattr(other.layers[layer], name)
            torch.testing.assert_close(getattr(found.layers[layer], name), expected)
    assert list(found.layers) == list(one.layers)


def test_the_ends_of_a_line_are_the_adapters_bit_for_bit(adapter):
    one, other = adapter(0), adapter(1)
    found = average_factors([one, other], [0.0, 1.0])
    assert torch.equal(found.layers[LAYER].A, other.layers[LAYER].A)


def test_heads_beside_the_layers_are_averaged(adapter):
    heads = [{"head": torch.tensor([1.0])}, {"head": torch.tensor([4.0])}]
    pair = [adapter(seed, extra=head) for seed, head in enumerate(heads)]
    assert average_factors(pair, [2 / 3, 1 / 3]).extra["head"].item() == pytest.approx(
        2
    )


def test_the_inputs_stay_as_they_are(adapter):
    one = adapter(0)
    before = one.layers[LAYER].A.clone()
    average_factors([one, adapter(1)], [0.5, 0.5])
    assert torch.equal(one.layers[LAYER].A, before)


def test_the_average_of_one_method_is_of_that_method(adapter):
    config = {"peft_type": "COTUNE", "coupling": "router"}
    found = average_factors([adapter(0, config=config)] * 2, [0.5, 0.5])
    assert found.coupling == "router"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda make: make(1, layers=3), "same layers"),
        (lambda make: make(1, rank=3), "one scale and shape"),
        (lambda make: make(1, extra={"head": torch.zeros(1)}), "beside the layers"),
        (lambda make: replace(make(1), tasks=("x",)), "same tasks"),
        (lambda make: make(1, config={"coupling": "router"}), "same coupling"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(adapter, change, message):
    with pytest.raises(ConfigError, match=message):
        average_factors([adapter(0), change(adapter)], [0.5, 0.5])


@pytest.mark.parametrize("weights", [[0.5], [0.5, float("nan")], []])
def test_weights_that_do_not_fit_are_refused(adapter, weights):
    with pytest.raises(ConfigError, match="weights"):
        average_factors([adapter(0), adapter(1)], weights)
