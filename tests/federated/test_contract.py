"""Every aggregator of the table runs, end to end, through the same engine."""

import math

import pytest
import torch

from cotune.federated.aggregation import AGGREGATION
from federated.small_federation import (
    CLIENTS,
    events,
    private,
    read_json,
    recipe,
    run_local,
    shared,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=list(AGGREGATION))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def run(name, clients_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name)
    return run_local(recipe(clients_world, folder, name))


def test_two_rounds_end_with_both_scores_of_every_client(run):
    found = read_json(run / "metrics.json")["federated"]
    assert found["rounds"] == 2 and found["skipped"] == 0 and found["dropped"] == 0
    for client in CLIENTS:
        one = found["clients"][client]
        assert 0 <= one["score_after_aggregation"] <= 1
        assert 0 <= one["score_after_training"] <= 1
        assert one["rounds"] == 2


def test_the_state_is_finite_and_has_moved(run, name):
    tensors = shared(run)
    assert all(torch.isfinite(x).all() for x in tensors.values())
    trained = [x for key, x in tensors.items() if key.endswith(("/A", "/B", "/B0"))]
    assert any(x.abs().sum() > 0 for x in trained) or name == "local"


def test_bytes_are_those_of_the_table(run, name):
    from cotune.federated.aggregation import Cohort, Site, traffic

    # q and v of two blocks, 16 x 16 each; rank 2.
    sites = {str(layer): Site(16, 16) for layer in range(4)}
    method = AGGREGATION[name]()
    first, second = read_json(run / "rounds.json")
    for client in CLIENTS:
        one = second["clients"][client]
        table = traffic(method, sites, 2, Cohort((2, 2, 2)))
        assert one["up"] == first["clients"][client]["up"] == table.up
        assert one["down"] == table.down


def test_private_tensors_are_kept_at_home_and_nowhere_else(run, name):
    roles = {key.rpartition("/")[2] for key in shared(run)}
    method = AGGREGATION[name]()
    assert not roles & set(method.private)
    if method.private:
        for client in CLIENTS:
            kept = {key.rpartition("/")[2] for key in private(run, client)}
            assert kept == set(method.private)


def test_every_client_has_an_adapter_of_its_own(run):
    from cotune import read_adapter

    adapters = list((run / "clients").glob("*/*/adapter"))
    assert len(adapters) == len(CLIENTS)
    for folder in adapters:
        adapter = read_adapter(folder)
        assert all(math.isfinite(float(f.A.sum())) for f in adapter.layers.values())


def test_the_log_names_every_reply(run):
    replied = [(one["round"], one["client"]) for one in events(run, "replied")]
    assert replied == [(round, client) for round in (1, 2) for client in CLIENTS]
    assert events(run)[-1]["event"] == "done"
