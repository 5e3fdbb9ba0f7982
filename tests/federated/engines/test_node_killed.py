"""F5 on a deployment: a node that is killed in the middle of a round."""

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from cotune.recipes import submit
from federated.small_federation import (
    CLIENTS,
    VICTIM,
    events,
    read_json,
    recipe,
    run_local,
    shared,
)

EXAMPLE = Path(__file__).parents[3] / "examples" / "federation"


def load_loopback():
    sys.path.insert(0, str(EXAMPLE))
    try:
        spec = importlib.util.spec_from_file_location(
            "loopback", EXAMPLE / "loopback.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["loopback"] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(EXAMPLE))


def kill_when_asked(run: Path, process, said: list) -> None:
    """SIGKILL a node and all it started, once the server has asked it to train."""
    end = time.monotonic() + 200
    while not (run / "events.jsonl").exists() or not events(run, "asked"):
        if time.monotonic() > end:
            return
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    said.append("killed")


@pytest.mark.slow
def test_a_node_that_is_killed_is_dropped_and_the_rest_goes_on(
    clients_world, tmp_path, monkeypatch
):
    def lose(order, reply):
        words = order.content.config_records.get("order")
        return [] if words is not None and words["client"] == VICTIM else [reply]

    short = {"rounds": 1, "score_every": 0}
    local = run_local(
        recipe(clients_world, tmp_path / "local", "fed-alora", timeout=1.0, **short),
        tamper=lose,
    )
    run, said = tmp_path / "run", []
    asked = recipe(clients_world, run, "fed-alora", timeout=70.0, **short)
    nodes = {n: {"client": n, "state": str(tmp_path / n)} for n in CLIENTS}
    with load_loopback().Loopback(tmp_path / "fed", nodes) as federation:
        monkeypatch.setenv("FLWR_HOME", str(federation.home))
        victim = federation._started[-1]
        assert list(nodes)[-1] == VICTIM
        killer = threading.Thread(target=kill_when_asked, args=(run, victim, said))
        killer.start()
        submit(asked, "loopback", say=lambda line: None)
        killer.join()
    assert said == ["killed"]
    (entry,) = read_json(run / "rounds.json")
    # Flower says that the node is gone, or the time is up before it does.
    assert list(entry["dropped"]) == [VICTIM]
    assert entry["dropped"][VICTIM].startswith(("lost", "late"))
    expected, found = shared(local), shared(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert events(run)[-1]["event"] == "done"
