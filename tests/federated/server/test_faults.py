"""F5: bad replies over the wire change nothing, and every one of them is in the log."""

import json
import math
import stat

import numpy as np
import pytest
import torch
from flwr.app import Array, Message

from federated.small_federation import (
    CLIENTS,
    events,
    private,
    read_json,
    recipe,
    run_local,
    shared,
    write_federation,
)

pytestmark = pytest.mark.slow

BAD = "eve"
SHORT = {"rounds": 1, "timeout": 1.0, "score_every": 0}


def is_training(order, client):
    """Whether a message asks this client to train."""
    words = order.content.config_records.get("order")
    return words is not None and (words["client"], words["todo"]) == (client, "train")


def change_update(reply, change):
    """Apply a change to every array of a reply."""
    arrays = reply.content.array_records["update"]
    for name in list(arrays):
        arrays[name] = Array(change(arrays[name].numpy()))
    return [reply]


def claim(weight):
    def change(reply):
        reply.content.metric_records["numbers"]["num-examples"] = weight
        return [reply]

    return change


def lose_a_key(reply):
    arrays = reply.content.array_records["update"]
    arrays.pop(next(iter(arrays)))
    return [reply]


def add_a_key(reply):
    reply.content.array_records["update"]["x/A"] = Array(np.zeros((2, 2), "float32"))
    return [reply]


def send_nothing(reply):
    for name in list(reply.content):
        del reply.content[name]
    return [reply]


def send_garbage(reply):
    arrays = reply.content.array_records["update"]
    for name in list(arrays):
        arrays[name] = Array("float32", (1,), "numpy.ndarray", b"\x80pickle")
    return [reply]


def set_nan(x):
    x = x.copy()
    x[0, 0] = math.nan
    return x


FAULTS = {
    "not-finite": lambda reply: change_update(reply, set_nan),
    "shape": lambda reply: change_update(reply, lambda x: x[:, :1].copy()),
    "dtype": lambda reply: change_update(reply, lambda x: x.astype("float64")),
    "keys": lose_a_key,
    "keys: too many": add_a_key,
    "weight": claim(-9),
    "weight: huge": claim(10**12),
    "weight: nan": claim(math.nan),
    "type": send_garbage,
    "failed": send_nothing,
    "late": lambda reply: [],
}


@pytest.fixture(scope="module")
def without(clients_world, tmp_path_factory):
    """The run in which the bad client is never heard of."""

    def lose(order, reply):
        return [] if is_training(order, BAD) else [reply]

    folder = tmp_path_factory.mktemp("without")
    return run_local(recipe(clients_world, folder, **SHORT), tamper=lose)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_reply_is_dropped_and_the_rest_is_as_if_it_had_not_come(
    fault, clients_world, tmp_path, without
):
    def tamper(order, reply):
        return FAULTS[fault](reply) if is_training(order, BAD) else [reply]

    run = run_local(recipe(clients_world, tmp_path, **SHORT), tamper=tamper)
    expected, found = shared(without), shared(run)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in found)
    dropped = events(run, "dropped")
    assert [(one["round"], one["client"]) for one in dropped] == [(1, BAD)]
    reason = fault.partition(":")[0]
    assert all(one["reason"].startswith(reason) for one in dropped)
    rounds = read_json(run / "rounds.json")
    assert all(set(one["dropped"]) == {BAD} for one in rounds)


def test_a_second_reply_to_one_order_counts_once(clients_world, tmp_path):
    def twice(order, reply):
        return [reply, reply]

    one = run_local(recipe(clients_world, tmp_path / "one", rounds=1))
    two = run_local(recipe(clients_world, tmp_path / "two", rounds=1), tamper=twice)
    assert all(
        torch.equal(x, y)
        for x, y in zip(shared(one).values(), shared(two).values(), strict=True)
    )
    assert len(events(two, "replied")) == len(CLIENTS)


def test_a_zero_update_is_a_reply_like_any_other(clients_world, tmp_path):
    def tamper(order, reply):
        if is_training(order, BAD):
            return change_update(reply, np.zeros_like)
        return [reply]

    run = run_local(recipe(clients_world, tmp_path, rounds=1), tamper=tamper)
    assert events(run, "dropped") == []
    assert all(torch.isfinite(x).all() for x in shared(run).values())


def test_below_the_quorum_a_round_is_skipped_and_nothing_changes(
    clients_world, tmp_path
):
    def tamper(order, reply):
        ann_and_bob = is_training(order, "ann") or is_training(order, "bob")
        first = ann_and_bob and order.content.config_records["order"]["round"] == 1
        return claim(-1)(reply) if first else [reply]

    run = run_local(
        recipe(clients_world, tmp_path, "fed-alora", quorum=2), tamper=tamper
    )
    first, second = read_json(run / "rounds.json")
    assert (first["skipped"], second["skipped"]) == (True, False)
    assert [one["round"] for one in events(run, "skipped")] == [1]
    # Eve's good reply of the skipped round does not count either: it begins again.
    assert (
        second["clients"][BAD]["score_after_aggregation"]
        == (first["clients"][BAD]["score_after_aggregation"])
    )


def test_an_error_of_a_client_is_a_code_and_its_text_stays_at_home(
    clients_world, tmp_path
):
    asked = recipe(clients_world, tmp_path, "fed-alora", rounds=1, quorum=2)
    path = clients_world / "data" / BAD / "train.jsonl"
    before = path.read_text()
    seen = []

    def tamper(order, reply):
        # Broken as soon as the server has begun: in the recipe all is well.
        path.write_text('{"prompt": "a secret row"')
        seen.append(reply)
        return [reply]

    try:
        run = run_local(asked, tamper=tamper)
    finally:
        path.write_text(before)
    assert [one["reason"] for one in events(run, "dropped")] == ["config"] * 2
    assert all(isinstance(reply, Message) for reply in seen)
    assert "secret" not in str([reply.content for reply in seen])
    assert str(clients_world) not in str([reply.content for reply in seen])
    log = (run / "clients" / f"{BAD}.log").read_text()
    assert "train.jsonl" in log


def test_a_client_that_lost_its_private_factors_joins_again(clients_world, tmp_path):
    import shutil

    def lose(order, reply):
        words = order.content.config_records.get("order")
        if words is not None and words["client"] == BAD and words["round"] == 1:
            (store,) = (tmp_path / "clients").glob(f"*/{BAD}-*")
            shutil.rmtree(store)
        return [reply]

    run = run_local(recipe(clients_world, tmp_path, "fed-alora", rounds=3), tamper=lose)
    reasons = [(one["round"], one["reason"]) for one in events(run, "dropped")]
    assert reasons == [(2, "no-state")]
    rounds = read_json(run / "rounds.json")
    assert rounds[2]["clients"][BAD]["up"] > 0
    assert private(run, BAD)


WORD = "Mustermann"
"""What stands in one row of one client, and nowhere else."""


@pytest.mark.parametrize("broken", [False, True])
def test_no_word_of_a_row_is_in_what_the_server_writes_or_shows(
    tmp_path, capfd, broken
):
    write_federation(tmp_path / "world")
    path = tmp_path / "world" / "data" / BAD / "train.jsonl"
    row = {"prompt": WORD, "options": ["no", "yes"], "answer": WORD if broken else "no"}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    run = run_local(recipe(tmp_path / "world", tmp_path / "run", **SHORT))
    written = [p for p in run.rglob("*") if p.is_file()]
    home = run / "clients"
    abroad = [p for p in written if home not in p.parents]
    assert {p.name for p in abroad} >= {"events.jsonl", "rounds.json", "metrics.json"}
    assert not [p.name for p in abroad if WORD.encode() in p.read_bytes()]
    assert WORD not in "".join(capfd.readouterr())
    assert [e["reason"] for e in events(run, "dropped")][:1] == ["config"] * broken
    # At home it is told, and to nobody else.
    log = home / f"{BAD}.log"
    assert (WORD in log.read_text()) == broken
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
