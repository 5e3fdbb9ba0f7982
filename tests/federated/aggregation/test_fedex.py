import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune.federated.aggregation import AGGREGATION


def stacked(owns, role, layer):
    return torch.stack([own.layers[layer][role].double() for own in owns.values()])


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 4), rank=st.integers(1, 4))
def test_means_and_rest_follow_the_formula(toy, count, rank):
    method = AGGREGATION["fedex"]()
    owns = toy.clients(method, ranks=(rank,) * count)
    state = toy.run(method, owns)
    p = torch.tensor(toy.shares(toy.WEIGHTS, count), dtype=torch.float64)
    for layer in toy.SITES:
        A, B = stacked(owns, "A", layer), stacked(owns, "B", layer)
        mean_A, mean_B = (torch.tensordot(p, x, 1) for x in (A, B))
        total = torch.tensordot(p, 2.0 * B @ A, 1)
        got = state.layers[layer]
        assert toy.far(got["A"], mean_A) <= 1e-6
        assert toy.far(got["B"], mean_B) <= 1e-6
        rest = got["B_rest"].double() @ got["A_rest"].double()
        want = total - 2.0 * mean_B @ mean_A
        assert float((rest - want).norm() / total.norm()) <= 1e-6
        assert got["A_rest"].shape[0] == (count - 1) * rank


def test_the_rest_has_no_smaller_rank_than_what_is_sent(toy):
    method = toy.build("fedex")
    owns = toy.clients(method, ranks=(2, 2, 2))
    got = toy.run(method, owns).layers["q"]
    rest = got["B_rest"].double() @ got["A_rest"].double()
    assert int(torch.linalg.matrix_rank(rest, rtol=1e-6)) == 4


def test_the_rest_is_in_the_orientation_of_a_linear_weight(toy):
    method = toy.build("fedex")
    owns = toy.clients(method)
    seat = toy.seat(owns["c0"])
    todo = method.receive(toy.run(method, owns), seat)
    for layer, site in toy.SITES.items():
        assert todo.fold[layer].shape == (site.d_out, site.d_in)


def test_one_client_has_no_rest(toy):
    method = toy.build("fedex")
    own = toy.own(4, 1)
    state = toy.run(method, {"a": own})
    assert state.layers["q"]["A_rest"].numel() == 0
    assert not method.receive(state, toy.seat(own)).fold
