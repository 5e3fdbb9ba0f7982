"""Both sides of a federation, each with the recipe that lies on its own disk.

The server's recipe and folder come with the run (``--run-config``). A client's come
from its own machine (``--node-config``), so nobody else decides what it reads and where
it writes. The recipes must agree in all but paths: the server asks for a hash.
"""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from cotune.federated import House, build_client_app, build_server_app
from cotune.recipes import build_plan, read_recipe

server = ServerApp()


@server.main()
def run_server(grid: Grid, context: Context) -> None:
    """Run all rounds; checkpoints, events and results lie in the folder."""
    config = context.run_config
    plan = build_plan(read_recipe(Path(str(config["recipe"]))))
    folder, resume = Path(str(config["folder"])), bool(config["resume"])
    build_server_app(plan, folder, resume=resume)(grid, context)


def open_house(context: Context) -> House:
    """Return the client that lives on this machine."""
    config = context.node_config
    plan = build_plan(read_recipe(Path(str(config["recipe"]))))
    return House(plan, plan.find(str(config["client"])), Path(str(config["folder"])))


client = build_client_app(open_house)
