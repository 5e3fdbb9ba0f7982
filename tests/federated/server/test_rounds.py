"""F2, F3, F4, F6: one client, what travels, what stays, and going on after a stop."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from cotune._errors import ConfigError
from federated.small_federation import (
    CLIENTS,
    events,
    private,
    read_json,
    recipe,
    run_local,
    shared,
    values,
)

pytestmark = pytest.mark.slow


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def solo(world, run, aggregation="fedit"):
    """A federation of one client, one round."""
    from cotune.recipes import check_recipe

    content = values(world, run, aggregation=aggregation, rounds=1, local_steps=3)
    content["data"]["folders"] = [{"path": ".", "include": ["ann"]}]
    return check_recipe(content)


def test_one_client_alone_computes_what_plain_training_does(clients_world, tmp_path):
    from cotune.recipes import run_recipe

    one = solo(clients_world, tmp_path / "one")
    run_local(one)
    training = one.training.model_copy(
        update={"max_steps": 3, "save_strategy": "no", "disable_tqdm": True}
    )
    plain = one.model_copy(
        update={
            "training": training,
            "federated": None,
            "output_dir": str(tmp_path / "plain"),
        }
    )
    run_recipe(plain)
    weights = "adapter_model.safetensors"
    (home,) = (tmp_path / "one" / "clients").glob("*/ann-*")
    assert same(
        load_file(home / "adapter" / weights),
        load_file(tmp_path / "plain" / "adapter" / weights),
    )


def test_only_shared_tensors_travel_up_and_no_private_byte_does(
    clients_world, tmp_path
):
    sent = []

    def spy(order, reply):
        sent.append(reply.content)
        return [reply]

    run = run_local(recipe(clients_world, tmp_path, "fed-alora", rounds=1), tamper=spy)
    updates = [x.array_records["update"] for x in sent if "update" in x]
    updates = [update for update in updates if update]
    assert len(updates) == len(CLIENTS)
    assert {name.rpartition("/")[2] for update in updates for name in update} == {"B"}
    raw = b"".join(array.data for update in updates for array in update.values())
    for client in CLIENTS:
        for name, x in private(run, client).items():
            if x.numel() > 1:
                assert x.numpy().tobytes() not in raw, name
    assert sum(x.nbytes for x in map(as_arrays, updates)) == (
        sum(one["up"] for one in read_json(run / "rounds.json")[0]["clients"].values())
    )


def as_arrays(update):
    import numpy as np

    return np.concatenate([array.numpy().ravel() for array in update.values()])


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["fed-alora", "fedex", "flora", "feddpa"])
def test_a_run_stopped_after_round_2_and_resumed_to_4_equals_one_of_4(
    aggregation, clients_world, tmp_path
):
    whole = run_local(recipe(clients_world, tmp_path / "whole", aggregation, rounds=4))
    stopped = tmp_path / "stopped"

    def stop(order, reply):
        words = order.content.config_records.get("order")
        if words is not None and words["round"] == 3 and words["client"] == "bob":
            raise KeyboardInterrupt
        return [reply]

    asked = recipe(clients_world, stopped, aggregation, rounds=4)
    with pytest.raises(KeyboardInterrupt):
        run_local(asked, tamper=stop)
    run_local(asked, resume=True)
    assert [one["round"] for one in events(stopped, "resume")] == [2]
    assert same(shared(whole), shared(stopped))
    for client in CLIENTS:
        assert same(private(whole, client), private(stopped, client))
    assert (
        read_json(whole / "metrics.json")["tasks"]
        == (read_json(stopped / "metrics.json")["tasks"])
    )


def test_a_run_is_not_resumed_with_another_recipe(clients_world, tmp_path):
    run_local(recipe(clients_world, tmp_path, rounds=1))
    other = recipe(clients_world, tmp_path, rounds=2, local_steps=3)
    with pytest.raises(ConfigError, match="federated"):
        run_local(other, resume=True)


def test_a_longer_run_may_go_on_where_a_shorter_one_ended(clients_world, tmp_path):
    run_local(recipe(clients_world, tmp_path, rounds=1))
    run_local(recipe(clients_world, tmp_path, rounds=2), resume=True)
    assert len(read_json(tmp_path / "rounds.json")) == 2


def test_private_factors_last_over_rounds_and_with_reset_they_do_not(
    clients_world, tmp_path
):
    kept = run_local(recipe(clients_world, tmp_path / "keep", "fed-alora"))
    reset = run_local(
        recipe(clients_world, tmp_path / "reset", "fed-alora", private_state="reset")
    )
    assert not same(shared(kept), shared(reset))
    assert not list((reset / "clients").glob("*/*/round-*"))


def test_clients_are_drawn_by_seed_and_the_others_are_left_alone(
    clients_world, tmp_path
):
    asked = {"rounds": 3, "clients_per_round": 1, "score_every": 0}
    draws = []
    for name in ("one", "two"):
        folder = run_local(recipe(clients_world, tmp_path / name, **asked))
        draws.append([one["clients"] for one in events(folder, "round")])
        shutil.rmtree(folder)
    assert draws[0] == draws[1]
    assert all(len(names) == 1 for names in draws[0])


def test_newcomers_fit_their_core_alone_and_others_only_score(clients_world, tmp_path):
    run = run_local(
        recipe(
            clients_world,
            tmp_path,
            "colora",
            rounds=1,
            evaluate_only=["bob"],
            newcomers=["eve"],
        )
    )
    (first,) = read_json(run / "rounds.json")
    assert first["clients"]["bob"]["up"] == 0
    assert "eve" not in first["clients"]
    found = read_json(run / "metrics.json")["federated"]["clients"]
    assert found["bob"]["score_after_aggregation"] is not None
    assert found["bob"]["score_after_training"] is None
    assert found["eve"]["score_after_training"] is not None
    assert found["eve"]["up"] == 0 and found["eve"]["down"] > 0
    fitted = private(run, "eve")
    cores = [x for name, x in fitted.items() if name.endswith("/core")]
    assert cores and all(not torch.equal(x, torch.eye(2)) for x in cores)


def test_a_router_is_private_without_being_named(clients_world, tmp_path):
    run = run_local(
        recipe(clients_world, tmp_path, "fed-alora", method="alora", rounds=1)
    )
    kept = {name.rpartition("/")[2] for name in private(run, "ann")}
    assert {"A", "router"} <= kept
    roles = {name.rpartition("/")[2] for name in shared(run)}
    assert roles == {"B"}


@pytest.mark.parametrize(
    "aggregation", ["flexlora", "hetlora", "zeropad", "flora", "fed-alora-any"]
)
def test_clients_of_different_ranks_train_together(
    aggregation, clients_world, tmp_path
):
    run = run_local(
        recipe(clients_world, tmp_path, aggregation, ranks=[1, 2, 4], score_every=0)
    )
    assert events(run, "dropped") == []
    found = read_json(run / "metrics.json")["federated"]["clients"]
    assert [found[client]["rank"] for client in CLIENTS] == [1, 2, 4]
    sent = [found[client]["up"] for client in CLIENTS]
    if aggregation == "fed-alora-any":
        assert len(set(sent)) == 1  # one shape for all ranks
    else:
        assert sent[0] < sent[1] < sent[2]
