"""A federation of three clients on a tiny model, and ways to run it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.small_world import make_rows, write_base, write_rows

CLIENTS = ("ann", "bob", "eve")


def write_federation(folder: Path) -> None:
    """Write ``base/`` and ``data/``: three tasks with different numbers of rows."""
    write_base(folder / "base")
    for number, task in enumerate(CLIENTS):
        for part, rows in (("train", 8 + 4 * number), ("test", 6)):
            path = folder / "data" / task / f"{part}.jsonl"
            write_rows(path, make_rows(rows, part=part, flipped=number == 1))


def values(
    world: Path, run: Path, method: str = "lora", **federated: Any
) -> dict[str, Any]:
    """Return the content of a recipe: two rounds of two steps."""
    section = {"aggregation": "fedit", "rounds": 2, "local_steps": 2, **federated}
    return {
        "base": {"name": str(world / "base")},
        "data": {
            "root": str(world / "data"),
            "folders": ["."],
            "encode": {"max_length": 32},
        },
        "adapter": {
            "method": method,
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q_proj", "v_proj"],
        },
        "training": {
            "learning_rate": 0.05,
            "lr_scheduler_type": "constant",
            "per_device_train_batch_size": 4,
            "use_cpu": True,
        },
        "federated": section,
        "output_dir": str(run),
    }


ADAPTERS = {"colora": "colora", "feddpa": "dual"}
"""Aggregation -> the adapter that it needs; lora for the others."""


def recipe(world: Path, run: Path, aggregation: str = "fedit", **federated: Any) -> Any:
    """Return a checked recipe."""
    from cotune.recipes import check_recipe

    method = federated.pop("method", ADAPTERS.get(aggregation, "lora"))
    return check_recipe(
        values(world, run, method, aggregation=aggregation, **federated)
    )


Tamper = Callable[[Any, Any], Iterable[Any]]


def run_local(
    recipe: Any, *, resume: bool = False, tamper: Tamper | None = None
) -> Path:
    """Run in this process, with replies changed on their way if asked."""
    from cotune.federated.client._app import build_client_app
    from cotune.federated.engines._local import run_local as run
    from cotune.federated.engines._quiet import silenced
    from cotune.federated.engines._run import SimulatedHouses
    from cotune.federated.server._rounds import build_server_app
    from cotune.recipes import build_plan

    plan, folder = build_plan(recipe), Path(recipe.output_dir)
    with silenced(folder / ".flwr"):
        server = build_server_app(plan, folder, resume=resume)
        client = build_client_app(SimulatedHouses(plan, folder / "clients"))
        run(server, client, len(plan.clients), tamper)
    return folder


def events(folder: Path, name: str | None = None) -> list[dict[str, Any]]:
    """Return the events of a run, or those of one name."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [one for one in found if name is None or one["event"] == name]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def shared(folder: Path) -> dict[str, Any]:
    """Return the shared factors of a run, by name."""
    from safetensors.torch import load_file

    return load_file(folder / "server.safetensors")


def private(folder: Path, client: str) -> dict[str, Any]:
    """Return the newest private tensors of one client of a simulation."""
    from safetensors.torch import load_file

    (store,) = (folder / "clients").glob(f"*/{client}-*")
    tensors = load_file(max(store.glob("round-*.safetensors")))
    return {name: x for name, x in tensors.items() if name != ":account"}


VICTIM = "eve"


@dataclass(frozen=True)
class DieOnce:
    """Reads rows as the plan does; the first time it is the victim, it is killed."""

    read: object
    mark: Path

    def __call__(self, client):
        if client.name == VICTIM and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.read(client)
