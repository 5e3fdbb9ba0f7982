import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated.aggregation import AGGREGATION, Packet

FORMS = [False, True]


def build(send_factors: bool, width: int = 4):
    return AGGREGATION["fed-alora-any"](send_factors=send_factors, width=width)


@pytest.mark.parametrize("send_factors", FORMS)
def test_the_accumulator_grows_by_the_weighted_sum_of_the_products(toy, send_factors):
    method = build(send_factors)
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        x = [own.layers[layer] for own in owns.values()]
        change = sum(
            p * own["B2"].double() @ own["B1"].double()
            for p, own in zip(weights, x, strict=True)
        )
        want = x[0]["B0"].double() + change
        assert toy.far(state.layers[layer]["B0"], want) <= 1e-6


def test_both_forms_give_the_same_state(toy):
    states = [
        toy.run(build(send_factors), toy.clients(build(send_factors)))
        for send_factors in FORMS
    ]
    for layer in toy.SITES:
        first, second = (state.layers[layer]["B0"] for state in states)
        assert toy.far(first, second) <= 1e-6


@pytest.mark.parametrize("send_factors", FORMS)
def test_one_client_finds_its_own_accumulator_bit_for_bit(toy, send_factors):
    method = build(send_factors)
    own = toy.own(3, 7)
    state = toy.run(method, {"only": own}, first=toy.own(3, 0))
    for layer, x in own.layers.items():
        assert torch.equal(state.layers[layer]["B0"], x["B0"] + x["B2"] @ x["B1"])


@pytest.mark.parametrize("send_factors", FORMS)
def test_clients_that_learnt_nothing_leave_the_accumulator_bit_equal(toy, send_factors):
    method = build(send_factors)
    own = toy.own(3, 7)
    idle = {
        layer: {**x, "B2": torch.zeros_like(x["B2"])} for layer, x in own.layers.items()
    }
    state = toy.run(method, {c: Packet(idle, own.scale) for c in "abc"})
    for layer, x in own.layers.items():
        assert torch.equal(state.layers[layer]["B0"], x["B0"])


def test_private_factors_persist_and_only_the_pair_restarts():
    method = build(False)
    assert method.private == ("A", "M")
    assert method.restart == method.shared == ("B1", "B2")
    assert method.frozen == ("B0",)


def test_only_the_product_form_is_linear():
    assert build(False).linear
    assert build(False).equal_uploads
    assert not build(True).linear
    assert not build(True).equal_uploads


def test_another_scale_is_refused(toy):
    method = build(False)
    opened = method.open(method.start(toy.own(3, 0)), ["a"])
    with pytest.raises(ConfigError, match="lora_alpha"):
        opened.add("a", method.upload(toy.own(3, 1, scale=1.0)), 1.0)


def test_a_width_below_one_is_refused():
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        build(False, width=0)


def test_an_accumulator_of_another_width_is_refused(toy):
    with pytest.raises(ConfigError, match="columns, got 4"):
        build(False, width=5).start(toy.own(3, 0))
