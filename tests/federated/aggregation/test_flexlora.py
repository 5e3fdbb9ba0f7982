import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune.federated.aggregation import AGGREGATION, Packet, Seat


def clients(toy, ranks, scale=4.0) -> dict[str, Packet]:
    return {
        f"c{k}": toy.own(rank, seed=k + 1, scale=scale / rank)
        for k, rank in enumerate(ranks)
    }


def mean_update(toy, method, owns, layer):
    weights = toy.shares(toy.WEIGHTS, len(owns))
    return sum(
        p * toy.delta(method, own, layer)
        for p, own in zip(weights, owns.values(), strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(ranks=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_each_client_gets_the_best_copy_of_its_rank(toy, ranks):
    method = AGGREGATION["flexlora"]()
    owns = clients(toy, ranks)
    state = toy.run(method, owns, first=toy.own(max(ranks), 0, scale=0.5))
    for layer in toy.SITES:
        D = mean_update(toy, method, owns, layer)
        U, S, Vh = torch.linalg.svd(D, full_matrices=False)
        for own in owns.values():
            seat = toy.seat(own)
            got = method.download(state, seat)
            assert got.scale == seat.scale
            x = got.layers[layer]
            best = U[:, : seat.rank] * S[: seat.rank] @ Vh[: seat.rank]
            update = seat.scale * x["B"].double() @ x["A"].double()
            assert float((update - best).norm() / D.norm()) <= 1e-6


def test_a_wide_client_gets_the_mean_update_exactly(toy):
    method = toy.build("flexlora")
    owns = clients(toy, (2, 1, 3))
    state = toy.run(method, owns, first=toy.own(7, 0))
    got = method.download(state, Seat(6, 0.5))
    for layer in toy.SITES:
        x = {role: t.double() for role, t in got.layers[layer].items()}
        D = mean_update(toy, method, owns, layer)
        assert toy.far(0.5 * x["B"] @ x["A"], D) <= 1e-6


def test_rows_of_a_are_orthonormal_also_where_the_mean_has_no_more_directions(toy):
    method = toy.build("flexlora")
    first = toy.own(7, 0)
    state = toy.run(method, clients(toy, (2, 1)), first=first)
    for x in state.layers.values():
        A = x["A"].double()
        gap = A @ A.mT - torch.eye(7, dtype=torch.float64)
        assert float(gap.abs().max()) <= 1e-6
        assert not x["B"][:, 3:].any()


def test_directions_of_no_strength_come_from_the_state_and_not_from_rounding(toy):
    # Three equal clients: the stack has rank 6, the mean update only 2.
    method = toy.build("flexlora")
    own, first = toy.own(2, 1), toy.own(5, 0)
    state = toy.run(method, dict.fromkeys("abc", own), first=first)
    once = toy.run(method, {"a": own}, first=first)
    for layer in toy.SITES:
        gap = state.layers[layer]["A"] - once.layers[layer]["A"]
        assert float(gap.abs().max()) <= 1e-6


def test_untrained_clients_keep_the_span_of_the_start(toy):
    method = toy.build("flexlora")
    first = toy.own(3, 0)
    idle = {
        layer: {**x, "B": torch.zeros_like(x["B"])} for layer, x in first.layers.items()
    }
    state = toy.run(method, {c: Packet(idle, 2.0) for c in "ab"}, first=first)
    for layer, x in state.layers.items():
        both = torch.cat([x["A"], first.layers[layer]["A"]]).double()
        assert int(torch.linalg.matrix_rank(both, rtol=1e-5)) == 3
        assert not x["B"].any()


def test_ranks_above_the_layer_are_filled_with_zeros(toy):
    method = toy.build("flexlora")
    own = toy.own(14, 1)
    state = toy.run(method, {"a": own}, first=toy.own(14, 0))
    got = method.download(state, Seat(14, 2.0)).layers["v"]
    want = toy.delta(method, own, "v")
    assert toy.far(2.0 * got["B"] @ got["A"], want) <= 1e-6
    assert not got["A"][12:].any()
