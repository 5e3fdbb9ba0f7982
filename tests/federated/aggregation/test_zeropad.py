import pytest
import torch
from torch.nn.functional import pad

from cotune._errors import ConfigError
from cotune.federated.aggregation import Packet, Seat


def mixed(toy) -> dict[str, Packet]:
    """Clients of ranks 2, 5, 1, 3 that all have alpha = 4: every scale is another."""
    return {
        f"c{k}": toy.own(rank, seed=k + 1, scale=4 / rank)
        for k, rank in enumerate(toy.MIXED)
    }


def wide(toy) -> Packet:
    return toy.own(5, seed=0, scale=4 / 5)


def test_the_pair_is_the_mean_of_padded_factors_with_the_scale_inside_b(toy):
    method = toy.build("zeropad")
    owns = mixed(toy)
    state = toy.run(method, owns, first=wide(toy))
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        A = B = 0.0
        for p, own in zip(weights, owns.values(), strict=True):
            x = own.layers[layer]
            more = 5 - x["A"].shape[0]
            A = A + p * pad(x["A"].double(), (0, 0, 0, more))
            B = B + p * own.scale * pad(x["B"].double(), (0, more))
        assert toy.far(state.layers[layer]["A"], A) <= 1e-6
        assert toy.far(state.scale * state.layers[layer]["B"], B) <= 1e-6


def test_each_client_gets_its_rows_in_its_own_scale(toy):
    method = toy.build("zeropad")
    owns = mixed(toy)
    state = toy.run(method, owns, first=wide(toy))
    for own in owns.values():
        seat = toy.seat(own)
        got = method.receive(method.download(state, seat), seat).layers["q"]
        x = {role: t.double() for role, t in state.layers["q"].items()}
        want = state.scale * x["B"][:, : seat.rank] @ x["A"][: seat.rank]
        assert toy.far(seat.scale * got["B"] @ got["A"], want) <= 1e-6


def test_rows_that_nobody_has_keep_their_value(toy):
    method = toy.build("zeropad")
    first = wide(toy)
    state = toy.run(method, {"a": toy.own(2, 1), "b": toy.own(3, 2)}, first=first)
    for layer, x in first.layers.items():
        assert torch.equal(state.layers[layer]["A"][3:], x["A"][3:])
        assert torch.equal(state.layers[layer]["B"][:, 3:], x["B"][:, 3:])
        assert not torch.equal(state.layers[layer]["A"][2], x["A"][2])


@pytest.mark.parametrize("name", ["zeropad", "hetlora", "flexlora"])
def test_a_client_wider_than_the_servers_pair_is_refused(toy, name):
    method = toy.build(name)
    state = method.start(toy.own(3, 0))
    with pytest.raises(ConfigError, match="largest rank"):
        seat = Seat(4, 2.0)
        method.receive(method.download(state, seat), seat)
    with pytest.raises(ConfigError, match="client 'a'"):
        method.open(state, ["a"]).add("a", method.upload(toy.own(4, 1)), 1.0)
