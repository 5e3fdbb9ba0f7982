"""F5 and F6 with real kills: a worker of the simulation, and the whole server."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from federated.small_federation import (
    CLIENTS,
    VICTIM,
    events,
    private,
    recipe,
    run_local,
    shared,
)
from helpers import run_python

TESTS = str(Path(__file__).parents[2])

PATIENCE = 1200
"""Seconds; 20 on an idle machine, more than 300 with ten busy processes per core: Ray
starts three times, and each start imports all of torch and transformers."""

SIMULATE = """
import json, os, subprocess, sys
from dataclasses import replace
from pathlib import Path
tests, world, folder, mark = sys.argv[1:]
sys.path.insert(0, tests)
from federated.small_federation import CLIENTS, DieOnce, recipe
from cotune.federated import run_plan
from cotune.recipes import build_plan
plan = build_plan(recipe(Path(world), Path(folder), "fed-alora"))
dying = replace(plan, read_task=DieOnce(plan.read_task, Path(mark)))
run_plan(dying, Path(folder), workers=2)
found = subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())],
                       capture_output=True, text=True, check=True).stdout
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_is_started_again_and_nothing_is_lost(
    clients_world, tmp_path
):
    local = run_local(recipe(clients_world, tmp_path / "local", "fed-alora"))
    folder, mark = tmp_path / "ray", tmp_path / "died"
    places = (str(clients_world), str(folder), str(mark))
    left = run_python(SIMULATE, TESTS, *places, seconds=PATIENCE)
    assert mark.exists()
    assert events(folder, "lost") == events(folder, "dropped") == []
    expected, found = shared(local), shared(folder)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert "ray" not in left and "flower" not in left


@pytest.mark.slow
def test_who_is_lost_every_time_is_dropped_and_the_run_goes_on(
    clients_world, tmp_path, monkeypatch
):
    from flwr.app import Error, Message

    monkeypatch.setattr("cotune.federated.server._collect.TRIES", 2)

    def lose(order, reply):
        words = order.content.config_records.get("order")
        if words is not None and words["client"] == VICTIM:
            return [Message(Error(code=0, reason="a secret text"), reply_to=order)]
        return [reply]

    run = run_local(recipe(clients_world, tmp_path, rounds=1), tamper=lose)
    reasons = {one["reason"] for one in events(run, "dropped")}
    assert reasons == {"lost: Flower error 0"}
    assert "secret" not in (run / "events.jsonl").read_text()


CODE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from federated.small_federation import recipe, run_local
run_local(recipe(Path(sys.argv[2]), Path(sys.argv[3]), "fed-alora", rounds=3))
"""


@pytest.mark.slow
def test_a_server_that_is_killed_between_rounds_goes_on_to_the_same_end(
    clients_world, tmp_path
):
    whole = run_local(recipe(clients_world, tmp_path / "a", "fed-alora", rounds=3))
    folder = tmp_path / "b"
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, TESTS, str(clients_world), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 200
    with process:
        while not any(one["round"] == 2 for one in _rounds(folder)):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    run_local(recipe(clients_world, folder, "fed-alora", rounds=3), resume=True)
    (resumed,) = events(folder, "resume")
    assert resumed["round"] >= 1
    expected, found = shared(whole), shared(folder)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    for client in CLIENTS:
        before, after = private(whole, client), private(folder, client)
        assert all(torch.equal(before[name], after[name]) for name in before)


def _rounds(folder: Path):
    return events(folder, "round") if (folder / "events.jsonl").exists() else []
