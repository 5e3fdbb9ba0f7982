import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from cotune.federated.aggregation import Packet
from cotune.federated.aggregation._hetlora import delta_norm


def test_weights_are_the_norms_of_the_updates_with_their_scales(toy):
    method = toy.build("hetlora")
    owns = {
        f"c{k}": toy.own(rank, seed=k + 1, scale=4 / rank)
        for k, rank in enumerate(toy.MIXED)
    }
    state = toy.run(method, owns, first=toy.own(5, 0, scale=4 / 5))
    for layer in toy.SITES:
        norms = [float(toy.delta(method, own, layer).norm()) for own in owns.values()]
        A = B = 0.0
        for norm, own in zip(norms, owns.values(), strict=True):
            x = own.layers[layer]
            more = 5 - x["A"].shape[0]
            A = A + norm / sum(norms) * pad(x["A"].double(), (0, 0, 0, more))
            B = B + norm / sum(norms) * own.scale * pad(x["B"].double(), (0, more))
        assert toy.far(state.layers[layer]["A"], A) <= 1e-6
        assert toy.far(state.scale * state.layers[layer]["B"], B) <= 1e-6


def test_the_server_truncates_and_divides_the_scale_out(toy):
    method = toy.build("hetlora")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    seat = type(toy.seat(owns["c0"]))(rank=2, scale=0.5)
    got = method.download(state, seat)
    for layer, x in state.layers.items():
        assert torch.equal(got.layers[layer]["A"], x["A"][:2])
        assert toy.far(got.layers[layer]["B"], x["B"][:, :2] * 4.0) <= 1e-6


def test_untrained_clients_count_by_their_examples(toy):
    method = toy.build("hetlora")

    def idle(seed: int) -> Packet:
        own = toy.own(3, seed)
        zero = {
            layer: {**x, "B": torch.zeros_like(x["B"])}
            for layer, x in own.layers.items()
        }
        return Packet(zero, own.scale)

    owns = {"a": idle(1), "b": idle(2)}
    state = toy.run(method, owns, weights=(1.0, 3.0))
    for layer, x in state.layers.items():
        a, b = (own.layers[layer]["A"] for own in owns.values())
        assert toy.far(x["A"], 0.25 * a + 0.75 * b) <= 1e-6
        assert not x["B"].any()


@settings(max_examples=25, deadline=None)
@given(rank=st.integers(1, 6), seed=st.integers(0, 1000))
def test_the_norm_is_that_of_the_product(rank, seed):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(rank, 9, generator=draw, dtype=torch.float64)
    B = torch.randn(7, rank, generator=draw, dtype=torch.float64)
    assert abs(delta_norm(A, B) - float((B @ A).norm())) <= 1e-10


def test_an_update_that_cancels_out_has_norm_zero_and_not_nan():
    # Four equal rows of A and columns of B that sum to zero: rounding may turn the
    # square negative, as it does for many of these seeds.
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        A = torch.randn(1, 50, generator=draw, dtype=torch.float64).repeat(4, 1)
        B = torch.randn(50, 3, generator=draw, dtype=torch.float64)
        B = torch.cat([B, -B.sum(1, keepdim=True)], dim=1)
        assert delta_norm(A, B) <= 1e-4
