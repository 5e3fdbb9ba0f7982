"""All that a federation needs, as one value that server and clients share.

The server uses it without ever calling ``read_task``; a client calls it for its own
rows only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError, unknown_name
from ..data import EncodeSpec, Task
from ..training import BaseSpec, EvaluationSpec, TrainingSpec
from ._checkpoint import hash_recipe
from ._spec import FederatedSpec
from .aggregation import Aggregator, Seat

if TYPE_CHECKING:
    from ..adapters import CoTuneConfig

STRIDE = 10_007
"""Distance between the seeds of two rounds: far apart from seeds that people choose."""


@dataclass(frozen=True)
class Client:
    """One client, as all parties know it.

    Args:
        name: Its name, unique in the federation.
        task: Name of its task.
        rank: r_k of its adapter.
        metric: How its task is scored.
        part: Which part of the task's training rows is its own, if they are dealt out.
    """

    name: str
    task: str
    rank: int
    metric: str = "accuracy"
    part: int | None = None


@dataclass(frozen=True)
class Plan:
    """All that decides what a federation computes.

    Args:
        spec: The federated section.
        base: Which model.
        adapter: Config of the adapter at the recipe's rank; never changed.
        training: How a client trains in one round.
        evaluation: How rows are scored.
        encode: How rows become tokens.
        clients: All clients, in the order of the recipe.
        identity: What all parties must agree on, and a resumed run with the first.
        read_task: Reads the rows of one client; only ever called by that client.
    """

    spec: FederatedSpec
    base: BaseSpec
    adapter: CoTuneConfig
    training: TrainingSpec
    evaluation: EvaluationSpec
    encode: EncodeSpec
    clients: tuple[Client, ...]
    identity: Mapping[str, Any]
    read_task: Callable[[Client], Task]

    @cached_property
    def digest(self) -> str:
        """Return the hash of what all parties must agree on."""
        return hash_recipe(self.identity)

    @cached_property
    def method(self) -> Aggregator:
        """Return the aggregator."""
        return self.spec.aggregation.build()

    @property
    def scale(self) -> float:
        """Return s = alpha / r, the same for all clients."""
        return self.adapter.scale(self.adapter.r, self.adapter.lora_alpha)

    @property
    def max_rank(self) -> int:
        """Return the largest rank of the federation."""
        return max(client.rank for client in self.clients)

    @property
    def trainers(self) -> tuple[Client, ...]:
        """Return the clients that train in rounds."""
        others = {*self.spec.evaluate_only, *self.spec.newcomers}
        return tuple(client for client in self.clients if client.name not in others)

    def find(self, name: str) -> Client:
        """Return a client.

        Raises:
            ConfigError: No client has this name.
        """
        for client in self.clients:
            if client.name == name:
                return client
        names = [client.name for client in self.clients]
        raise ConfigError(unknown_name("client", name, names))

    def seat(self, client: Client) -> Seat:
        """Return what the server must know of a client."""
        return Seat(client.rank, self.scale)

    def adapter_at(self, rank: int, task: str) -> CoTuneConfig:
        """Make the config of one client's adapter.

        Args:
            rank: Its rank; alpha follows, so that the scale is that of the plan.
            task: The one task of its bank.

        Returns:
            A new config.
        """
        config = copy.deepcopy(self.adapter)
        root = config.use_rslora
        config.r = rank
        config.lora_alpha = self.scale * (rank**0.5 if root else rank)
        config.tasks, config.default_task = [task], None
        return config

    def training_in(self, round: int, *, quick: bool = False) -> TrainingSpec:
        """Return how a client trains in one round.

        Seeds differ by round and not by client: in round 1 it is the recipe's own, so
        one client alone computes what plain training does.

        Args:
            round: The round, from 1.
            quick: Whether it is a newcomer, which trains as long as all rounds took.
        """
        spec = self.spec
        times = spec.rounds if quick else 1
        epochs = spec.local_epochs or 1.0
        changed = {
            "seed": self.training.seed + STRIDE * (round - 1),
            "num_train_epochs": epochs * times,
            "max_steps": -1 if spec.local_steps is None else spec.local_steps * times,
            "save_strategy": "no",
            "eval_strategy": "no",
            "eval_steps": None,
            "load_best_model_at_end": False,
            "early_stopping_patience": None,
            "metric_for_best_model": None,
            "report_to": (),
            "disable_tqdm": True,
        }
        return self.training.model_copy(update=changed)
