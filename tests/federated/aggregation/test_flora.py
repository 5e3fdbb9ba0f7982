import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune.federated.aggregation import AGGREGATION, Seat


@settings(max_examples=20, deadline=None)
@given(ranks=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_the_stack_is_the_mean_update_at_rank_sum_r(toy, ranks):
    method = AGGREGATION["flora"]()
    owns = {
        f"c{k}": toy.own(rank, seed=k + 1, scale=4 / rank)
        for k, rank in enumerate(ranks)
    }
    state = toy.run(method, owns, first=toy.own(6, 0))
    todo = method.receive(state, Seat(1, 1.0))
    weights = toy.shares(toy.WEIGHTS, len(ranks))
    for layer in toy.SITES:
        want = sum(
            p * toy.delta(method, own, layer)
            for p, own in zip(weights, owns.values(), strict=True)
        )
        fold = todo.fold[layer]
        assert fold.rank == sum(ranks)
        assert toy.far(fold.delta(), want) <= 1e-6


def test_a_holds_weight_and_scale_and_b_is_stacked_as_it_came(toy):
    method = toy.build("flora")
    owns = {"a": toy.own(2, 1, scale=0.5), "b": toy.own(1, 2, scale=4.0)}
    state = toy.run(method, owns, weights=(1.0, 3.0))
    a, b, got = (x.layers["q"] for x in (*owns.values(), state))
    assert torch.equal(got["B"], torch.cat([a["B"], b["B"]], dim=1))
    assert toy.far(got["A"], torch.cat([0.125 * a["A"], 3.0 * b["A"]])) <= 1e-6
    assert state.scale == 1.0


def test_before_the_first_round_there_is_nothing_to_fold(toy):
    method = toy.build("flora")
    state = method.start(toy.own(3, 0))
    assert state.nbytes == 0
    assert not method.receive(state, Seat(3, 2.0)).fold


def test_clients_restart_their_pair_and_load_nothing(toy):
    method = toy.build("flora")
    todo = method.receive(toy.run(method, toy.clients(method)), Seat(3, 2.0))
    assert method.restart == ("A", "B")
    assert not todo.layers
