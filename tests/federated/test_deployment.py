"""Flower's deployment engine with TLS and node keys, as the example starts it."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from federated.small_federation import (
    CLIENTS,
    events,
    read_json,
    shared,
    values,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "federation"
pytest.importorskip("flwr")


def example(name: str) -> ModuleType:
    """Import a file of the example, which is no package."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(EXAMPLE))


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server, and one node that is let in."""
    loopback = example("loopback")
    folder = tmp_path_factory.mktemp("federation")
    with loopback.Loopback(folder, {"ann": {"client": "ann"}}) as found:
        yield found


def wait_for(process: subprocess.Popen[bytes], seconds: float = 60.0) -> int:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return 0  # it is still there: it was let in


def nodes_of(federation: Any) -> str:
    return federation.flwr("supernode", "list", "loopback", "--format", "json")


@pytest.mark.slow
def test_strangers_and_those_without_tls_are_refused(federation, tmp_path):
    keys = example("keys")
    other, _ = keys.make_node_key(tmp_path, "other")
    keys.make_certificates(tmp_path)
    own = federation.folder / "keys" / "ann.key"
    tries = {
        "no key": federation.start_node("no-key", None),
        "a key that nobody registered": federation.start_node("wrong-key", other),
        "a key without TLS": federation.start_node("no-tls", own, tls=False),
        "neither": federation.start_node("neither", None, tls=False, tries=1),
        "a server that the node does not trust": federation.start_node(
            "wrong-authority", own, authority=tmp_path / "ca.crt", tries=1
        ),
    }
    ended = {what: wait_for(process) for what, process in tries.items()}
    assert all(ended.values()), ended
    assert "authentication is enabled" in federation.log("no-key")
    assert "Failed to activate" in federation.log("wrong-key")
    assert "TLS" in federation.log("no-tls")


@pytest.mark.slow
def test_a_node_with_a_registered_key_is_let_in(federation):
    assert nodes_of(federation).count('"online"') == 1


@pytest.mark.slow
def test_only_the_fleet_is_reached_through_the_proxy(federation):
    import ssl

    import httpx

    trust = ssl.create_default_context(cafile=federation.folder / "keys" / "ca.crt")
    inside, outside = (
        {
            path: httpx.post(f"https://{address}{path}", verify=trust).status_code
            for path in (
                "/v1/fleet/pull-messages",
                "/v1/control/list-runs",
                "/v1/runtime/pull-task",
                "/v1/fleet/../control/list-runs",
                "/v1/fleet/%2e%2e/control/list-runs",
                "/v1/fleet/..%2fcontrol%2flist-runs",
            )
        }
        for address in (federation.address, federation.fleet_address)
    )
    fleet = "/v1/fleet/pull-messages"
    assert outside.pop(fleet) == inside.pop(fleet) != 404
    assert inside["/v1/control/list-runs"] != 404
    assert set(outside.values()) == {404}


@pytest.mark.slow
def test_a_run_that_fails_at_the_server_fails_the_command(
    federation, clients_world, tmp_path
):
    content = values(clients_world, tmp_path / "run")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    other = tmp_path / "run" / "recipe.yaml"
    other.parent.mkdir()
    other.write_text("# of something else")
    words = ["cotune", "federate", str(tmp_path / "recipe.yaml")]
    with pytest.raises(RuntimeError, match="finished:completed, got finished:failed"):
        federation.run([*words, "--superlink", "loopback"])
    assert other.read_text() == "# of something else"
    assert not (tmp_path / "run" / "events.jsonl").exists()


@pytest.mark.slow
def test_a_deployment_computes_what_a_simulation_does(clients_world, tmp_path):
    run = example("run")
    content = values(
        clients_world, tmp_path / "simulated", aggregation="fed-alora", score_every=0
    )
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    deployed = run.run(tmp_path / "recipe.yaml", tmp_path / "deployed", timeout=500)
    # In a process of its own: inside pytest, Ray's workers get the checked functions.
    command = [
        sys.executable,
        "-m",
        "cotune",
        "federate",
        str(tmp_path / "recipe.yaml"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    simulated = tmp_path / "simulated"
    one, two = shared(simulated), shared(deployed)
    assert one.keys() == two.keys()
    for name, x in one.items():
        assert torch.allclose(two[name], x, rtol=0, atol=1e-6)
    for client in CLIENTS:
        own, same = (
            load_file(max(folder.rglob("round-000002.safetensors")))
            for folder in (
                tmp_path / "deployed" / "clients" / client,
                private_folder(simulated, client),
            )
        )
        assert own.keys() == same.keys()
        for name, x in own.items():
            assert torch.allclose(same[name], x, rtol=0, atol=1e-6)
    assert not events(deployed, "dropped")
    resolved = yaml.safe_load((deployed / "recipe.yaml").read_text())
    pinned = resolved["federated"]["nodes"]
    assert sorted(pinned) == sorted(CLIENTS) and all(pinned.values())
    assert read_json(deployed / "metrics.json") is not None


def private_folder(run: Path, client: str) -> Path:
    (experiment,) = (run / "clients").glob("*/")
    (folder,) = experiment.glob(f"{client}-*/")
    return folder


@pytest.mark.slow
def test_leaving_the_block_ends_every_process_and_frees_the_port(tmp_path):
    loopback = example("loopback")
    with loopback.Loopback(tmp_path / "fed", {}) as federation:
        federation.start_node("ann", None)
        started = list(federation._started)
        assert all(process.poll() is None for process in started)
    assert all(process.poll() is not None for process in started)
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert not loopback._listens(federation.port)


def test_secrets_are_for_their_owner_alone(tmp_path):
    keys = example("keys")
    keys.make_certificates(tmp_path / "keys")
    private, public = keys.make_node_key(tmp_path / "keys", "ann")
    for secret in (private, tmp_path / "keys" / "server.key"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert public.read_text().startswith("ecdsa-sha2-nistp384 ")
    with pytest.raises(FileExistsError):
        keys.make_node_key(tmp_path / "keys", "ann")
