"""Privacy tools inside a run: noise on the state, DP-SGD at the client, the account."""

import math

import pytest
import torch

from federated.small_federation import (
    CLIENTS,
    events,
    private,
    read_json,
    recipe,
    run_local,
    shared,
)

CLIENT_LEVEL = {"client_level": {"clip": 0.1, "noise": 1.0}}
LOCAL = {"local": {"clip": 0.5, "noise": 1.0}}


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_noise_is_added_counted_and_the_same_after_a_resume(clients_world, tmp_path):
    asked = {"rounds": 2, "privacy": CLIENT_LEVEL, "score_every": 0}
    whole = run_local(recipe(clients_world, tmp_path / "a", "fed-alora", **asked))
    plain = run_local(
        recipe(clients_world, tmp_path / "b", "fed-alora", rounds=2, score_every=0)
    )
    assert not same(shared(whole), shared(plain))
    spent = [one["epsilon"] for one in events(whole, "aggregated")]
    assert 0 < spent[0] < spent[1] < math.inf
    short = {**asked, "rounds": 1}
    run_local(recipe(clients_world, tmp_path / "c", "fed-alora", **short))
    again = recipe(clients_world, tmp_path / "c", "fed-alora", **asked)
    stopped = run_local(again, resume=True)
    assert same(shared(whole), shared(stopped))
    assert [one["epsilon"] for one in events(stopped, "aggregated")] == spent


@pytest.mark.slow
def test_a_long_update_moves_the_state_no_further_than_the_clip(
    clients_world, tmp_path
):
    tiny = {"client_level": {"clip": 1e-3, "noise": 1e-6}}
    run = run_local(
        recipe(
            clients_world, tmp_path, "fed-alora", rounds=1, privacy=tiny, score_every=0
        )
    )
    B = [x for name, x in shared(run).items() if name.endswith("/B")]
    moved = math.sqrt(sum(float(x.double().square().sum()) for x in B))
    assert 0 < moved <= 1.1e-3


@pytest.mark.slow
def test_local_privacy_is_counted_at_home_over_rounds(clients_world, tmp_path):
    pytest.importorskip("opacus")
    run = run_local(
        recipe(clients_world, tmp_path, "fedit", privacy=LOCAL, score_every=0)
    )
    first, second = read_json(run / "rounds.json")
    for client in CLIENTS:
        spent = [one["clients"][client]["epsilon"] for one in (first, second)]
        assert 0 < spent[0] < spent[1]
    assert private(run, "ann") == {}
    assert all(torch.isfinite(x).all() for x in shared(run).values())
