"""The apps that a deployment runs: the recipe lies beside them, the rest on the node.

What a node says of itself (``flower-supernode --node-config``):

* ``client``: its name in the recipe; or ``partition-id``, its number.
* ``data-root``: where its rows are; goes before the recipe's ``data.root``.
* ``base``: where its base model is; goes before the recipe's ``base.name``.
* ``state``: where it keeps what never leaves it; default ``~/.cotune/federated``.
* ``recipe``: its own copy of the recipe. If it is there, nothing else is obeyed: an
  order for another recipe is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from ._federate import build_plan
from ._read import read_recipe
from ._recipe import Recipe
from ._whole import with_whole_paths

if TYPE_CHECKING:
    from flwr.app import Context
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp

    from ..federated import House, Plan

STATE = "~/.cotune/federated"


def build_node_app(recipe: Path) -> ClientApp:
    """Make the client app of a deployment.

    Args:
        recipe: The recipe that came with the app.
    """
    from ..federated import build_client_app

    def open_house(context: Context) -> House:
        return _open_house(recipe, context)

    return build_client_app(open_house)


def build_deployed_server(recipe: Path) -> ServerApp:
    """Make the server app of a deployment.

    It writes to the recipe's ``output_dir``, on the SuperLink's machine. The run config
    may say ``resume``.

    Args:
        recipe: The recipe that came with the app.
    """
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        from ..federated import run_server
        from ._record import write_recipe
        from ._whole import resolve_recipe

        read = with_whole_paths(read_recipe(recipe))
        folder, plan = Path(read.output_dir), build_plan(read)
        resume = bool(context.run_config.get("resume", False))
        run_server(grid, plan, folder, resume=resume)
        tasks = list(dict.fromkeys(client.task for client in plan.clients))
        write_recipe(resolve_recipe(read, tasks), folder)

    return app


def _open_house(recipe: Path, context: Context) -> House:
    from ..federated import House

    node = context.node_config
    path = Path(str(node.get("recipe", recipe))).expanduser()
    plan = build_plan(_with_own_paths(read_recipe(path), node))
    folder = Path(str(node.get("state", STATE))).expanduser()
    return House(plan, _find_client(plan, node), folder)


def _with_own_paths(recipe: Recipe, node: Any) -> Recipe:
    """Put the node's paths in place of the recipe's."""
    changed: dict[str, Any] = {}
    if "data-root" in node:
        root = str(node["data-root"])
        changed["data"] = recipe.data.model_copy(update={"root": root})
    if "base" in node:
        changed["base"] = recipe.base.model_copy(update={"name": str(node["base"])})
    return recipe.model_copy(update=changed)


def _find_client(plan: Plan, node: Any) -> Any:
    if "client" in node:
        return plan.find(str(node["client"]))
    number = node.get("partition-id")
    if number is None or not 0 <= int(number) < len(plan.clients):
        raise ConfigError(
            "--node-config: must name the client, got neither client nor a "
            "partition-id in range. Write e.g. --node-config 'client=\"ann\"'."
        )
    return plan.clients[int(number)]
