"""Run a federation on this machine, and leave nothing running."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .._checkpoint import claim_folder
from .._plan import Plan
from ..client._house import House
from ..server._events import Watch
from ._quiet import need_flower, silenced

if TYPE_CHECKING:
    from flwr.app import Context

Engine = Literal["simulation", "local"]


@dataclass(frozen=True)
class SimulatedHouses:
    """From a node of a simulation to the client with the same number.

    Args:
        plan: All clients.
        folder: Where all of them keep what is private; each has a folder of its own.
    """

    plan: Plan
    folder: Path

    def __call__(self, context: Context) -> House:
        """Return the client that lives at a node."""
        number = int(context.node_config["partition-id"])
        return House(self.plan, self.plan.clients[number], self.folder)


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    engine: Engine = "simulation",
    workers: int | None = None,
    gpus: float = 0.0,
    resume: bool = False,
    watch: Watch | None = None,
) -> Path:
    """Run all clients and the server on this machine.

    Args:
        plan: What to compute.
        folder: Of the run: checkpoint, events, rounds, metrics; the clients' own
            folders lie in ``clients/``.
        engine: simulation (Flower on Ray) or local (in this process).
        workers: Clients at a time in a simulation; None: one per core.
        gpus: Share of a GPU per worker.
        resume: Go on from the checkpoint in the folder, or start if there is none.
        watch: Is told every event.

    Returns:
        The folder.

    Raises:
        ConfigError: Flower is not installed; the folder is in use and the run is not
            resumed; what the server finds wrong.
    """
    need_flower()
    claim_folder(folder, resume=resume)
    # Those are nodes of a deployment; here everyone is in this house.
    plan = replace(plan, spec=plan.spec.model_copy(update={"nodes": None}))
    with silenced(folder / ".flwr"):
        from ..client._app import build_client_app
        from ..server._rounds import build_server_app
        from ._local import run_local
        from ._simulation import run_simulated

        server = build_server_app(plan, folder, resume=resume, watch=watch)
        client = build_client_app(SimulatedHouses(plan, folder / "clients"))
        nodes = len(plan.clients)
        if engine == "local":
            run_local(server, client, nodes)
        else:
            workers = min(workers or os.cpu_count() or 1, nodes)
            run_simulated(server, client, nodes, workers=workers, gpus=gpus)
    return folder
