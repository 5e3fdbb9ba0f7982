"""The simulation engine: Flower's own, on Ray, several clients at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._errors import ConfigError

if TYPE_CHECKING:
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp


def run_simulated(
    server: ServerApp, client: ClientApp, nodes: int, *, workers: int, gpus: float
) -> None:
    """Run both apps in Flower's simulation; Ray is stopped at the end.

    Args:
        server: The server app; runs in a thread of this process.
        client: The client app; runs in workers.
        nodes: How many clients.
        workers: How many of them work at a time, at least 1.
        gpus: Share of a GPU that each worker has, at least 0.

    Raises:
        ConfigError: Ray is not there.
    """
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "federated: the simulation needs ray, got none. Run: pip install "
            '"cotune[federated]", or pass --engine local.'
        )
    from flwr.simulation import run_simulation

    # Both go through to Ray. Without `max_restarts`, Flower keeps a dead worker in its
    # pool, and every later message to it is lost. Without `max_task_retries`, so is
    # what is sent while the new worker starts: ten seconds and more, if all is busy.
    revive = {"max_restarts": -1, "max_task_retries": 1}
    resources = {"num_cpus": 1, "num_gpus": gpus, **revive}
    run_simulation(
        server,
        client,
        nodes,
        backend_config={
            "init_args": {
                "num_cpus": workers,
                "include_dashboard": False,
                "log_to_driver": False,
            },
            "client_resources": resources,
        },
    )
