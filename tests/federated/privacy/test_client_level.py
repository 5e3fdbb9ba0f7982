import math
from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated.aggregation import AGGREGATION, Packet
from cotune.federated.privacy import (
    Accountant,
    ClientLevelPrivacy,
    ClientLevelSpec,
    update_norm,
)
from cotune.federated.privacy._noise import tell_that_noise_can_be_taken_away

GOES = ("fedit", "ffa", "fedsa", "fed-alora", "fed-alora-any", "colora", "feddpa")


def spec(**changes) -> ClientLevelSpec:
    return ClientLevelSpec(**{"clip": 1.0, "noise": 1.0, **changes})


def build(name="fedit", *, clients=4, per_round=4, accountant=None, **changes):
    return ClientLevelPrivacy(
        spec(**changes),
        AGGREGATION[name](),
        clients=clients,
        per_round=per_round,
        accountant=accountant,
    )


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def fresh(seed: int, size: int = 6) -> Packet:
    d = draw(seed)
    shapes = {"A": (2, size), "B": (5, 2), "B0": (5, 16), "B1": (2, 16), "B2": (5, 2)}
    roles = {role: torch.randn(s, generator=d) for role, s in shapes.items()}
    return Packet({"q": roles, "v": {r: x + 1 for r, x in roles.items()}}, 2.0)


def run_round(name, privacy, lengths, *, skip=(), seed=1, weights=None):
    """One round whose clients send an update of a given length each."""
    method = AGGREGATION[name]()
    state = method.start(fresh(0))
    clients = [f"c{i}" for i in range(len(lengths))]
    opened = method.open(state, clients)
    for index, (client, length) in enumerate(zip(clients, lengths, strict=True)):
        if client in skip:
            opened.skip(client)
            continue
        sent = method.upload(fresh(index + 1))
        now = update_norm(sent, state)
        ratio = length / now
        layers = {
            layer: {
                role: s + ratio * (x - s)
                if (s := state.layers[layer].get(role)) is not None
                else ratio * x
                for role, x in roles.items()
            }
            for layer, roles in sent.layers.items()
        }
        clipped = privacy.limit(replace(sent, layers=layers), state)
        opened.add(client, clipped.packet, privacy.weight)
    mean = opened.finish()
    return state, mean, privacy.release(mean, state, opened.replied, draw(seed))


@pytest.mark.parametrize("name", GOES)
def test_the_noise_has_the_deviation_of_the_formula_on_every_shared_number(name):
    privacy = build(name, noise=2.0, clip=3.0)
    method = AGGREGATION[name]()
    shape = (300, 300)
    sent = {role: torch.zeros(shape) for role in ("A", "B", "B0", "dB")}
    state = method.start(Packet({"q": sent}, 2.0)) if name != "fed-alora-any" else None
    state = state or Packet({"q": {"B0": torch.zeros(shape)}}, 2.0)
    released = privacy.release(state, state, 4, draw())
    assert released.noise_std == 2.0 * 3.0 / 4
    assert set(released.state.layers["q"]) == set(state.layers["q"])
    for x in released.state.layers["q"].values():
        assert float(x.std()) == pytest.approx(1.5, rel=0.01)
        assert abs(float(x.mean())) < 0.02


@pytest.mark.parametrize("name", GOES)
def test_without_one_client_the_mean_moves_by_at_most_the_clip_over_the_round(name):
    privacy = build(name, clip=0.7, noise=1e-12)
    lengths = [100.0, 0.3, 5.0, 50.0]
    _, _, whole = run_round(name, privacy, lengths)
    for gone in range(4):
        _, _, part = run_round(name, privacy, lengths, skip={f"c{gone}"})
        # Both are states with the same roles, so their distance is an update's length.
        moved = update_norm(part.state, whole.state)
        assert moved <= 0.7 / 4 * (1 + 1e-4)
        if lengths[gone] > 0.7:
            assert moved == pytest.approx(0.7 / 4, rel=1e-3)


def test_missing_replies_count_as_zero_updates():
    privacy = build(noise=1e-12, clip=10.0)
    state, mean, released = run_round("fedit", privacy, [1.0] * 4, skip={"c0", "c1"})
    expected = update_norm(mean, state) * 2 / 4
    assert update_norm(released.state, state) == pytest.approx(expected, rel=1e-5)


def test_updates_of_zero_do_no_harm():
    privacy = build(noise=1e-12)
    state, _, released = run_round("fedit", privacy, [0.0] * 4)
    assert update_norm(released.state, state) < 1e-5
    assert all(
        bool(x.isfinite().all())
        for roles in released.state.layers.values()
        for x in roles.values()
    )


def test_private_factors_are_never_seen():
    _, _, released = run_round("fed-alora", build("fed-alora"), [1.0] * 4)
    assert {r for t in released.state.layers.values() for r in t} == {"B"}


def test_a_seed_repeats_a_round_and_the_system_does_not():
    one, two = (run_round("fedsa", build("fedsa"), [1.0] * 4)[2] for _ in range(2))
    assert update_norm(one.state, two.state) == 0
    one, two = (
        run_round("fedsa", build("fedsa", source="system"), [1.0] * 4)[2]
        for _ in range(2)
    )
    assert update_norm(one.state, two.state) > 0.1


def test_the_epsilon_of_each_round_is_reported_and_goes_on_after_a_restart():
    privacy = build(noise=4.0)
    first = run_round("fedit", privacy, [1.0] * 4)[2].epsilon
    again = build(
        noise=4.0, accountant=Accountant.from_json(privacy.accountant.to_json())
    )
    second = run_round("fedit", again, [1.0] * 4)[2].epsilon
    straight = Accountant()
    straight.step(noise_multiplier=4.0, rate=1.0, count=2)
    assert 0 < first < second == pytest.approx(straight.epsilon(1e-5))


def test_sampling_helps_only_if_it_is_secret():
    known = build(clients=1000, per_round=4, noise=2.0)
    secret = build(clients=1000, per_round=4, noise=2.0, sampling="secret")
    assert known.rate() == 1
    assert secret.rate() == 0.004
    lengths = [1.0] * 4
    assert (
        run_round("fedit", secret, lengths)[2].epsilon
        < run_round("fedit", known, lengths)[2].epsilon / 2
    )


def test_few_connected_clients_are_asked_more_often_and_cost_more():
    secret = build(clients=1000, per_round=4, noise=2.0, sampling="secret")
    assert [secret.rate(among) for among in (1000, 8, 4, 3)] == [0.004, 0.5, 1, 1]
    assert build(clients=1000, per_round=4).rate(8) == 1
    state = AGGREGATION["fedit"]().start(fresh(0))
    spent = []
    for among in (None, 1000, 8):
        privacy = build(clients=1000, per_round=4, noise=2.0, sampling="secret")
        released = privacy.release(state, state, 4, draw(), among=among)
        spent.append(released.epsilon)
    assert spent[0] == spent[1] < spent[2]


def test_the_dtype_of_the_state_stays():
    privacy = build()
    state = Packet({"q": {"A": torch.ones(2, 2).double(), "B": torch.ones(2, 2)}})
    released = privacy.release(state, state, 1, draw()).state.layers["q"]
    assert released["A"].dtype == torch.float64
    assert released["B"].dtype == torch.float32


@pytest.mark.parametrize("name", ["flora", "flexlora", "hetlora", "fedex", "zeropad"])
def test_methods_that_are_no_mean_of_equal_shapes_are_refused(name):
    with pytest.raises(ConfigError, match="client_level"):
        build(name)


@pytest.mark.parametrize(("clients", "per_round"), [(4, 0), (4, 5), (0, 0)])
def test_rounds_that_cannot_be_are_refused(clients, per_round):
    with pytest.raises(ConfigError, match="from 1 to all clients"):
        build(clients=clients, per_round=per_round)


def test_a_release_needs_a_generator_and_a_possible_number_of_replies():
    state = Packet({"q": {"A": torch.ones(1, 1)}})
    with pytest.raises(ConfigError, match="generator"):
        build().release(state, state, 1)
    for replied in (0, 5):
        with pytest.raises(ConfigError, match="replied"):
            build().release(state, state, replied, draw())


@pytest.mark.parametrize("bad", [{"clip": 0}, {"noise": 0}, {"noise": math.inf}])
def test_a_section_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        spec(**bad)


def test_noise_that_can_be_taken_away_is_told_once(caplog):
    tell_that_noise_can_be_taken_away.cache_clear()
    build(source="system")
    assert not caplog.records
    build()
    build()
    (record,) = caplog.records
    assert "Set source: system" in record.getMessage()
