"""From a recipe to a federation, and the run of it on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError, unknown_name
from ..data import Task, TaskSpec
from ..data._seed import make_generator
from ._recipe import Recipe
from ._record import write_recipe
from ._shape import build_shape
from ._tasks import list_recipe_tasks, load_recipe_tasks
from ._whole import resolve_recipe, with_whole_paths

if TYPE_CHECKING:
    from ..federated import Client, Engine, FederatedSpec, Plan, Watch
    from ..federated._explain import Explanation

_LOCAL = ("output_dir", "versions", "description", "data.root", "training.use_cpu")
_MAY_CHANGE = (
    "rounds",
    "timeout",
    "connect_timeout",
    "quorum",
    "min_clients",
    "score_every",
    "evaluate_only",
    "newcomers",
    "nodes",
)
"""Fields of the federated section that change nothing that is trained in a round."""


def federate(
    recipe: Recipe,
    *,
    engine: Engine = "simulation",
    workers: int | None = None,
    gpus: float = 0.0,
    resume: bool = False,
    watch: Watch | None = None,
) -> Path:
    """Run the federation of a recipe on this machine.

    Args:
        recipe: Has a section ``federated``.
        engine: simulation, or local: in this process.
        workers: Clients at a time in a simulation; None: one per core.
        gpus: Share of a GPU per worker.
        resume: Go on with an interrupted run in its folder, or start there.
        watch: Is told what happens.

    Returns:
        The run folder.

    Raises:
        ConfigError: Faults of the recipe, the model or the data; a folder in use.
    """
    from ..federated import run_plan

    recipe = with_whole_paths(recipe)
    plan = build_plan(recipe)
    folder = Path(recipe.output_dir)
    tasks = list(dict.fromkeys(client.task for client in plan.clients))
    run_plan(
        plan,
        folder,
        engine=engine,
        workers=workers,
        gpus=gpus,
        resume=resume,
        watch=watch,
    )
    write_recipe(resolve_recipe(recipe, tasks), folder)
    return folder


def build_plan(recipe: Recipe) -> Plan:
    """Make the federation that a recipe describes. No row is read.

    Args:
        recipe: Has a section ``federated``.

    Returns:
        The plan.

    Raises:
        ConfigError: Clients, ranks, adapter and aggregation that do not fit; all faults
            in one message.
    """
    from ..federated import Client, Plan

    spec = recipe.federated
    if spec is None:
        raise ConfigError(
            "federated: must be a section of the recipe, got none. Add e.g. "
            "`federated: {aggregation: fed-alora, rounds: 10}`."
        )
    specs = {task.name: task for task in list_recipe_tasks(recipe)}
    adapter = recipe.need_adapter().build(["client"])
    faults = list(_find_faults(recipe, spec, specs))
    if faults:
        raise ConfigError("\n".join(f"federated.{fault}" for fault in faults))
    names = _name_clients(spec, list(specs))
    ranks = spec.ranks or {}
    if not isinstance(ranks, dict):
        ranks = dict(zip(names, ranks, strict=True))
    clients = tuple(
        Client(name, task, ranks.get(name, adapter.r), specs[task].metric_name, part)
        for name, (task, part) in names.items()
    )
    return Plan(
        spec=spec,
        base=recipe.base,
        adapter=adapter,
        training=recipe.training,
        evaluation=recipe.evaluation,
        encode=recipe.data.encode,
        clients=clients,
        identity=describe_identity(recipe),
        read_task=ReadTask(recipe, specs),
    )


def explain_federation(recipe: Recipe) -> Explanation:
    """Say what would leave each client. Only the base model's config is loaded.

    Args:
        recipe: Has a section ``federated``.

    Returns:
        Every array, bytes per round and in all, what stays, and the privacy tools.

    Raises:
        ConfigError: As :func:`build_plan`.
    """
    from ..federated._explain import explain
    from ..federated._ownership import layers_of
    from ..federated.aggregation import Site

    plan = build_plan(recipe)
    sites = {
        name: Site(d_in=layer.in_features, d_out=layer.out_features)
        for name, layer in layers_of(build_shape(recipe)).items()
    }
    return explain(
        plan.method,
        sites,
        [client.rank for client in plan.trainers],
        rounds=plan.spec.rounds,
        per_round=plan.spec.clients_per_round,
    )


@dataclass(frozen=True)
class ReadTask:
    """Reads the rows of one client, and no others.

    Args:
        recipe: With this client's paths.
        specs: What the recipe says of every task, by name.
    """

    recipe: Recipe
    specs: Mapping[str, TaskSpec]

    def __call__(self, client: Client) -> Task:
        """Return the client's task; of one that is dealt out, its part of the rows."""
        key = (self.recipe.model_dump_json(), client.name)
        if key not in _ROWS:
            while len(_ROWS) >= _MOST_ROWS:
                _ROWS.pop(next(iter(_ROWS)))
            _ROWS[key] = self._read(client)
        return _ROWS[key]

    def _read(self, client: Client) -> Task:
        own = {"folders": (), "tasks": (self.specs[client.task],)}
        data = self.recipe.data.model_copy(update=own)
        (task,) = load_recipe_tasks(self.recipe.model_copy(update={"data": data}))
        spec = self.recipe.federated
        if client.part is None or spec is None or spec.clients is None:
            return task
        deal = spec.clients
        if deal.split is None:
            return task
        chance = make_generator(spec.seed, "partition", task.name)
        labels = task.train["answer"]
        rows = deal.split.split(labels, deal.count, chance).rows[client.part]
        return replace(task, train=task.train.select(list(rows)))


_MOST_ROWS = 16
_ROWS: dict[tuple[str, str], Task] = {}
"""Tasks of the last clients: a worker of a simulation meets them again every round."""


def describe_identity(recipe: Recipe) -> dict[str, Any]:
    """Return what all parties must agree on: all but paths, and how long it goes on.

    Args:
        recipe: Anyone's copy.

    Returns:
        JSON values.
    """
    content = recipe.model_dump(mode="json")
    for name in _LOCAL:
        section, _, key = name.rpartition(".")
        (content[section] if section else content).pop(key)
    for key in _MAY_CHANGE:
        content["federated"].pop(key)
    content["base"]["name"] = Path(recipe.base.name).name
    return content


def _name_clients(
    spec: FederatedSpec, tasks: Sequence[str]
) -> dict[str, tuple[str, int | None]]:
    """Return client -> its task, and which part of the rows is its own."""
    if spec.clients is None:
        return {task: (task, None) for task in tasks}
    deal = spec.clients
    return {name: (deal.task, part) for part, name in enumerate(deal.names)}


def _find_faults(
    recipe: Recipe, spec: FederatedSpec, tasks: dict[str, TaskSpec]
) -> Iterator[str]:
    """Find what only shows once the tasks are known."""
    if spec.clients is not None and spec.clients.task not in tasks:
        yield f"clients.task: {unknown_name('task', spec.clients.task, tasks)}"
        return
    names = list(_name_clients(spec, list(tasks)))
    for key in ("evaluate_only", "newcomers"):
        for name in getattr(spec, key):
            if name not in names:
                yield f"{key}: {unknown_name('client', name, names)}"
    for key in ("ranks", "nodes"):
        value = getattr(spec, key)
        for name in value if isinstance(value, dict) else ():
            if name not in names:
                yield f"{key}: {unknown_name('client', name, names)}"
    if isinstance(spec.ranks, tuple) and len(spec.ranks) != len(names):
        yield f"ranks: must be one per client ({len(names)}), got {len(spec.ranks)}."
    trainers = len(set(names) - {*spec.evaluate_only, *spec.newcomers})
    for key in ("clients_per_round", "min_clients", "quorum"):
        value = getattr(spec, key)
        if value is not None and value > trainers:
            yield f"{key}: must be at most the {trainers} that train, got {value}."
    if trainers == 0:
        yield "clients: at least one must train, got none."
