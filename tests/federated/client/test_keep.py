"""What a client keeps: private factors by round, privacy spent for good."""

import pytest
import torch

from cotune.federated._store import PrivateStore
from cotune.federated.client._keep import Kept, StateLost, keep, load_kept
from cotune.recipes import build_plan
from federated.small_federation import recipe

LOCAL = {"local": {"noise": 1.0}}


def kept(steps: int) -> Kept:
    return Kept({"A": torch.full((2, 3), float(steps))}, {}, [{"steps": steps}])


@pytest.fixture
def store(tmp_path) -> PrivateStore:
    return PrivateStore(tmp_path, "e", "ann")


def plan_of(world, tmp_path, **federated):
    return build_plan(recipe(world, tmp_path / "run", "fed-alora", **federated))


def test_privacy_of_a_dropped_round_stays_spent(clients_world, tmp_path, store) -> None:
    plan = plan_of(clients_world, tmp_path, privacy=LOCAL)
    keep(plan, store, 1, 0, kept(1))
    keep(plan, store, 2, 1, kept(2))
    # Round 2 was dropped: round 3 builds on round 1 again.
    found = load_kept(plan, store, 1)
    assert torch.equal(found.private["A"], torch.ones(2, 3))
    assert found.account == [{"steps": 2}]
    # All rounds were dropped: the client begins again, but not its account.
    assert load_kept(plan, store, 0) == Kept({}, {}, [{"steps": 2}])


def test_without_local_privacy_nothing_is_counted(
    clients_world, tmp_path, store
) -> None:
    plan = plan_of(clients_world, tmp_path)
    keep(plan, store, 1, 0, kept(1))
    assert load_kept(plan, store, 1).account == []
    assert load_kept(plan, store, 0) == Kept()


def test_a_missing_version_is_said_to_be_lost(clients_world, tmp_path, store) -> None:
    plan = plan_of(clients_world, tmp_path)
    keep(plan, store, 1, 0, kept(1))
    with pytest.raises(StateLost):
        load_kept(plan, store, 4)
