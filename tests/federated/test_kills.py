"""F5 and F6 with real kills: a worker of the simulation, and the whole server."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cotune.federated._run import SimulatedHouses
from federated.small_federation import (
    CLIENTS,
    VICTIM,
    DieOnce,
    events,
    private,
    recipe,
    run_local,
    shared,
)


def children() -> str:
    return subprocess.run(
        ["ps", "-o", "args", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_reply_and_nothing_else(
    clients_world, tmp_path
):
    from cotune.federated import build_client_app, build_server_app
    from cotune.federated._quiet import silenced
    from cotune.federated._simulation import run_simulated
    from cotune.recipes import build_plan

    def lose(order, reply):
        words = order.content.config_records.get("order")
        lost = words is not None and words["client"] == VICTIM and words["round"] == 1
        return [] if lost else [reply]

    asked = recipe(clients_world, tmp_path / "local", "fed-alora", timeout=1.0)
    local = run_local(asked, tamper=lose)
    folder = tmp_path / "ray"
    plan = build_plan(recipe(clients_world, folder, "fed-alora"))
    dying = replace(plan, read_task=DieOnce(plan.read_task, tmp_path / "died"))
    with silenced(folder / ".flwr"):
        server = build_server_app(plan, folder)
        client = build_client_app(SimulatedHouses(dying, folder / "clients"))
        run_simulated(server, client, len(CLIENTS), workers=2, gpus=0)
    assert (tmp_path / "died").exists()
    (dropped,) = events(folder, "dropped")
    assert (dropped["round"], dropped["client"]) == (1, VICTIM)
    assert dropped["reason"].startswith("lost: Flower error")
    expected, found = shared(local), shared(folder)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert "ray" not in children()


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
    tests = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, tests, str(clients_world), str(folder)],
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
