"""What every method of the table keeps to."""

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.federated.aggregation import (
    AGGREGATION,
    Aggregator,
    Cohort,
    Packet,
    Seat,
    aggregate,
    layer_traffic,
)

METHODS = list(AGGREGATION)


@pytest.fixture(params=METHODS)
def method(request, toy) -> Aggregator:
    return toy.build(request.param)


def same(x: Packet, y: Packet) -> bool:
    return x.scale == y.scale and all(
        x.layers[layer].keys() == y.layers[layer].keys()
        and all(torch.equal(x.layers[layer][r], y.layers[layer][r]) for r in roles)
        for layer, roles in x.layers.items()
    )


def change(packet: Packet, layer: str, role: str, value: torch.Tensor | None) -> Packet:
    roles = {r: x for r, x in packet.layers[layer].items() if r != role}
    if value is not None:
        roles[role] = value
    return Packet({**packet.layers, layer: roles}, packet.scale)


def test_the_table_has_every_row_of_the_spec():
    assert METHODS == [
        "local", "fedit", "ffa", "fedsa", "fed-alora", "fed-alora-any", "colora",
        "feddpa", "flora", "flexlora", "hetlora", "fedex", "zeropad",
    ]  # fmt: skip


def test_the_linear_methods_are_those_of_the_spec(toy):
    linear = {name for name in METHODS if toy.build(name).linear}
    assert set(METHODS) - linear == {"flora", "flexlora", "hetlora", "fedex"}


def test_no_role_has_two_owners(method):
    roles = method.shared + method.private + method.frozen
    assert len(set(roles)) == len(roles)
    assert set(method.restart) <= set(method.shared)


def test_an_upload_holds_exactly_what_is_declared(method, toy):
    for packet in toy.clients(method).values():
        sent = method.upload(packet)
        rank = packet.layers["q"]["A"].shape[0]
        for layer, site in toy.SITES.items():
            shapes = {r: tuple(x.shape) for r, x in sent.layers[layer].items()}
            assert shapes == method.up_shapes(site, rank)
            assert tuple(shapes) == method.sent


def test_no_private_or_frozen_tensor_leaves_the_client(method, toy):
    for packet in toy.clients(method).values():
        sent = method.upload(packet)
        for layer, roles in sent.layers.items():
            kept = packet.layers[layer]
            secret = {kept[r].data_ptr() for r in method.private + method.frozen}
            assert not secret & {x.data_ptr() for x in roles.values()}


def test_bytes_up_and_down_are_those_of_the_packets(method, toy):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    ranks = toy.ranks_for(method)
    for packet, rank in zip(owns.values(), ranks, strict=True):
        got = method.download(state, toy.seat(packet))
        parts = [
            layer_traffic(method, site, rank, Cohort(ranks))
            for site in toy.SITES.values()
        ]
        assert method.upload(packet).nbytes == sum(part.up for part in parts)
        assert got.nbytes == sum(part.down for part in parts)
        for layer, site in toy.SITES.items():
            shapes = {r: tuple(x.shape) for r, x in got.layers[layer].items()}
            assert shapes == method.down_shapes(site, rank, Cohort(ranks))


def test_what_a_client_loads_fits_its_own_factors(method, toy):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    for packet in owns.values():
        todo = method.receive(
            method.download(state, toy.seat(packet)), toy.seat(packet)
        )
        for layer, roles in todo.layers.items():
            for role, x in roles.items():
                mine = packet.layers[layer][role]
                assert (x.shape, x.dtype) == (mine.shape, mine.dtype)


def test_what_travels_down_can_be_saved_as_it_is(method, toy):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    for packet in [
        state,
        *(method.download(state, toy.seat(x)) for x in owns.values()),
    ]:
        tensors = [x for roles in packet.layers.values() for x in roles.values()]
        assert all(x.is_contiguous() for x in tensors)


def test_inputs_are_untouched(method, toy):
    owns = toy.clients(method)
    before = copy.deepcopy(owns)
    state = method.start(toy.own(5 if not method.equal_ranks else 4, 0))
    kept = copy.deepcopy(state)
    opened = method.open(state, owns)
    for client, packet in owns.items():
        opened.add(client, method.upload(packet), 2.0)
    new = opened.finish()
    for packet in owns.values():
        method.receive(method.download(new, toy.seat(packet)), toy.seat(packet))
    assert same(state, kept)
    assert all(same(owns[client], before[client]) for client in owns)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(11)), lost=st.sets(st.integers(0, 10), max_size=9))
def test_the_result_is_bit_equal_in_any_order_of_arrival(toy, name, order, lost):
    method = toy.build(name)
    ranks = [1 + 2 * (k % 3) if not method.equal_ranks else 4 for k in range(11)]
    packets = [method.upload(toy.own(rank, k)) for k, rank in enumerate(ranks)]
    state = method.start(toy.own(5 if not method.equal_ranks else 4, 50))
    ids = [f"client-{k}" for k in range(11)]
    there = {ids[k]: (packets[k], 1.0 + k) for k in range(11) if k not in lost}
    opened = method.open(state, ids)
    for k in order:
        if k in lost and k % 2:
            opened.skip(ids[k])  # the other lost ones are never heard of
        elif k not in lost:
            opened.add(ids[k], packets[k], 1.0 + k)
    assert same(opened.finish(), aggregate(method, state, there))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_state_keeps_the_dtype(method, toy, dtype):
    first = toy.own(4, 0, dtype=dtype)
    owns = {f"c{k}": toy.own(4, k + 1, dtype=dtype) for k in range(3)}
    state = toy.run(method, owns, first=first)
    assert {x.dtype for roles in state.layers.values() for x in roles.values()} <= {
        dtype
    }
    assert method.download(state, Seat(4, 2.0)).layers.keys() == first.layers.keys()


def test_linear_means_the_mean_of_what_each_reply_alone_would_give(method, toy):
    owns = toy.clients(method, ranks=(4, 4, 4))
    first = toy.own(4, 0)
    whole = toy.run(method, owns, first=first)
    alone = [toy.run(method, {c: owns[c]}, first=first) for c in owns]
    worst = 0.0
    for layer, roles in whole.layers.items():
        for role, x in roles.items():
            parts = [packet.layers[layer][role] for packet in alone]
            if any(part.shape != x.shape for part in parts):
                worst = float("inf")
                continue
            weights = toy.shares(toy.WEIGHTS, 3)
            mean = sum(p * y.double() for p, y in zip(weights, parts, strict=True))
            worst = max(worst, toy.far(x, mean))
    assert worst <= 1e-6 if method.linear else worst > 1e-2


def test_equal_uploads_means_one_shape_for_all_ranks(method, toy):
    if method.equal_ranks:
        assert method.equal_uploads
        return
    shapes = {
        str(method.up_shapes(site, rank))
        for site in [toy.SITES["q"]]
        for rank in (1, 3)
    }
    assert method.equal_uploads == (len(shapes) == 1)


def test_exact_says_what_one_step_does_to_the_mean_update(method, toy):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        mean = sum(
            p * toy.delta(method, packet, layer)
            for p, packet in zip(weights, owns.values(), strict=True)
        )
        gaps = []
        for packet in owns.values():
            seat = toy.seat(packet)
            todo = method.receive(method.download(state, seat), seat)
            gaps.append(toy.far(toy.after(method, packet, todo, layer), mean))
        if method.exact == "product":
            assert max(gaps) <= 1e-6
        else:
            assert min(gaps) > 1e-2


def test_one_client_equals_local_training(method, toy):
    packet = toy.own(4, seed=7)
    state = toy.run(method, {"only": packet})
    todo = method.receive(method.download(state, toy.seat(packet)), toy.seat(packet))
    for layer in toy.SITES:
        mine = toy.delta(method, packet, layer)
        assert toy.far(toy.after(method, packet, todo, layer), mine) <= 1e-6


@pytest.mark.parametrize(
    "name", [n for n in METHODS if n not in {"flora", "flexlora", "fed-alora-any"}]
)
def test_one_client_gets_its_own_factors_back_bit_for_bit(toy, name):
    method = toy.build(name)
    packet = toy.own(4, seed=7)
    state = toy.run(method, {"only": packet}, weights=(7.0,))
    todo = method.receive(method.download(state, toy.seat(packet)), toy.seat(packet))
    assert not todo.fold
    for layer, roles in todo.layers.items():
        assert set(roles) == set(method.shared)
        assert all(torch.equal(x, packet.layers[layer][r]) for r, x in roles.items())


def test_equal_clients_are_a_fixed_point(method, toy):
    packet = toy.own(4, seed=7)
    state = toy.run(method, {f"c{k}": packet for k in range(4)})
    todo = method.receive(method.download(state, toy.seat(packet)), toy.seat(packet))
    for layer in toy.SITES:
        mine = toy.delta(method, packet, layer)
        assert toy.far(toy.after(method, packet, todo, layer), mine) <= 1e-6
    if method.linear and not method.restart:
        for layer, roles in todo.layers.items():
            assert all(
                torch.equal(x, packet.layers[layer][r]) for r, x in roles.items()
            )


def test_a_payload_that_replaces_may_be_applied_twice_and_one_that_adds_may_not(
    method, toy
):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    seat = toy.seat(owns["c1"])
    todo = method.receive(method.download(state, seat), seat)
    assert bool(todo.fold) != method.replaces


def test_a_second_round_starts_from_the_state_of_the_first(method, toy):
    owns = toy.clients(method)
    state = toy.run(method, owns)
    opened = method.open(state, owns)
    for client, packet in owns.items():
        own = Packet(packet.layers, packet.scale)
        opened.add(client, method.upload(own), 1.0)
    assert opened.finish().layers.keys() == state.layers.keys()


def test_a_reply_that_does_not_fit_is_refused_and_changes_nothing(method, toy):
    owns = toy.clients(method)
    good = {client: method.upload(packet) for client, packet in owns.items()}
    state = method.start(toy.own(max(toy.ranks_for(method)), 0))
    opened = method.open(state, owns)
    bad = [Packet({"q": good["c0"].layers["q"]}, 2.0), Packet(good["c0"].layers, -1.0)]
    for role in method.sent:
        x = good["c0"].layers["q"][role]
        wrong = [None, x.new_zeros(3, 3), x.new_zeros(99, 99), x.sum()]
        bad += [change(good["c0"], "q", role, value) for value in wrong]
    bad.append(change(good["c0"], "q", "extra", torch.zeros(2, 2)))
    for packet in bad:
        with pytest.raises(ConfigError, match="client 'c0'"):
            opened.add("c0", packet, 1.0)
    for client, packet in good.items():
        opened.add(client, packet, 1.0)
    fair = {client: (packet, 1.0) for client, packet in good.items()}
    assert same(opened.finish(), aggregate(method, state, fair))


def test_methods_for_one_rank_refuse_another_rank_or_scale(method, toy):
    if not method.equal_ranks or not method.sent:
        return
    opened = method.open(method.start(toy.own(4, 0)), ["a", "b"])
    with pytest.raises(ConfigError, match="fed-alora-any"):
        opened.add("a", method.upload(toy.own(3, 1)), 1.0)
    with pytest.raises(ConfigError, match=r"scale must be 2\.0, got 4\.0"):
        opened.add("a", method.upload(toy.own(4, 1, scale=4.0)), 1.0)


def test_an_upload_without_a_shared_factor_is_refused(method, toy):
    if not method.shared:
        return
    packet = change(toy.own(4, 1), "v", method.shared[0], None)
    with pytest.raises(ConfigError, match=f"layer 'v' must hold {method.shared[0]}"):
        method.upload(packet)


@pytest.mark.slow
def test_importing_the_table_and_its_methods_loads_no_engine():
    code = (
        "import sys; from cotune.federated.aggregation import AGGREGATION as table;"
        "[table[name]() for name in table];"
        "heavy = {'flwr', 'peft', 'transformers', 'datasets'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
