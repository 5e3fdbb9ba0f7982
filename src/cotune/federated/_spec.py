"""The federated section of a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .._errors import ConfigError, unknown_name
from .._spec import Spec
from ..data._partition import PartitionSpec
from .aggregation import AGGREGATION, Aggregator
from .privacy._spec import PrivacySpec


class AggregationSpec(Spec):
    """Who owns which factor, and what the server does: a line of the table."""

    name: str = Field(
        default="fed-alora",
        description="local, fedit, ffa, fedsa, fed-alora, fed-alora-any, colora, "
        "feddpa, flora, flexlora, hetlora, fedex or zeropad.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the method, written beside its name, e.g. "
        "{name: fed-alora-any, width: 16}.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """Take a plain name, and gather the method's own keys."""
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping):
            return value
        own = {key: x for key, x in value.items() if key not in cls.model_fields}
        rest = {key: x for key, x in value.items() if key in cls.model_fields}
        return {**rest, "options": {**rest.get("options", {}), **own}}

    @model_validator(mode="after")
    def _check(self) -> AggregationSpec:
        self.build()
        return self

    def build(self) -> Aggregator:
        """Make the aggregator.

        Raises:
            ConfigError: Unknown name, or arguments that the method does not take.
        """
        kind = AGGREGATION[self.name]
        known = list(inspect.signature(kind).parameters)
        for key in self.options:
            if key not in known:
                name = unknown_name(f"option of {self.name}", key, known)
                raise ConfigError(name)
        try:
            return kind(**self.options)
        except TypeError as error:
            raise ConfigError(
                f"options of {self.name} must have the types of their defaults, got "
                f"{self.options}: {error}."
            ) from error


class DealSpec(Spec):
    """One task whose rows are dealt out to several clients."""

    task: str = Field(description="Name of the task.")
    count: int = Field(ge=1, description="How many clients.")
    split: PartitionSpec | None = Field(
        default=None,
        description="How training rows are dealt out, e.g. iid or {name: dirichlet, "
        "alpha: 0.3}; for simulations. None: every client has rows of its own, at its "
        "own data.root.",
    )

    @field_validator("split", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the clients, in order."""
        width = len(str(self.count - 1))
        return tuple(f"{self.task}-{number:0{width}d}" for number in range(self.count))


class FederatedSpec(Spec):
    """Training by clients that share some factors and never their rows."""

    aggregation: AggregationSpec = Field(
        default=AggregationSpec(),
        description="Who owns which factor: a name of the table, or {name: ..., and "
        "its arguments}.",
    )
    clients: DealSpec | None = Field(
        default=None,
        description="None: one client per task, called as the task. Or {task, count, "
        "split}: several clients for one task.",
    )
    ranks: dict[str, int] | tuple[int, ...] | None = Field(
        default=None,
        description="Rank of each client, by name or in their order. None: adapter.r "
        "for all. The scale alpha / r is the same for all clients.",
    )
    rounds: int = Field(default=10, ge=1, description="Rounds of training.")
    local_epochs: float | None = Field(
        default=None,
        gt=0,
        description="Passes of a client over its rows per round. Default 1.",
    )
    local_steps: int | None = Field(
        default=None,
        ge=1,
        description="Optimizer steps of a client per round; goes before epochs.",
    )
    clients_per_round: int | None = Field(
        default=None,
        ge=1,
        description="How many clients are drawn in each round; None: all.",
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of the draw of clients and of dealt rows."
    )
    min_clients: int | None = Field(
        default=None,
        ge=1,
        description="Clients that must be connected before a round begins; None: all "
        "that train.",
    )
    quorum: int | None = Field(
        default=None,
        ge=1,
        description="Good replies that a round needs; with fewer it is skipped and "
        "nothing changes. None: more than half of those asked.",
    )
    timeout: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds after which a round goes on without those who are late.",
    )
    connect_timeout: float = Field(
        default=600.0,
        gt=0,
        description="Seconds to wait for min_clients before the run gives up.",
    )
    score_every: int = Field(
        default=1,
        ge=0,
        description="Score clients in every so many rounds, before and after local "
        "training; 0: only at the end.",
    )
    private_state: Literal["keep", "reset"] = Field(
        default="keep",
        description="keep: private factors last over rounds. reset: drawn anew each "
        "round, which loses them; only to show what that costs.",
    )
    evaluate_only: tuple[str, ...] = Field(
        default=(), description="Clients that get the model, score it, and never train."
    )
    newcomers: tuple[str, ...] = Field(
        default=(),
        description="Clients that join after the last round and fit their private "
        "factors alone (with colora: the core).",
    )
    nodes: dict[str, int] | None = Field(
        default=None,
        description="Client -> node that it lives at, as `flwr supernode list` shows "
        "them; for deployments. Whoever says such a name at another node is refused. "
        "None: a node is who it says.",
    )
    max_weight: float = Field(
        default=1e6,
        gt=0,
        description="Most examples that a client may claim; more is refused.",
    )
    max_norm: float | None = Field(
        default=None,
        gt=0,
        description="Longest change (L2, all shared factors together) that a reply may "
        "make; None: any.",
    )

    privacy: PrivacySpec = Field(
        default=PrivacySpec(), description="Privacy tools; none by default."
    )

    @model_validator(mode="after")
    def _check(self) -> FederatedSpec:
        faults = [text for broken, text in self._rules() if broken]
        try:
            self.privacy.check(self.aggregation.build())
        except ConfigError as error:
            faults.append(str(error))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _rules(self) -> list[tuple[bool, str]]:
        aggregator = self.aggregation.build()
        both = sorted(set(self.evaluate_only) & set(self.newcomers))
        nodes = list((self.nodes or {}).values())
        return [
            (
                self.local_epochs is not None and self.local_steps is not None,
                "local_steps: goes without local_epochs, got both. Leave one out.",
            ),
            (
                bool(both),
                f"newcomers: must not be in evaluate_only too, got {', '.join(both)}.",
            ),
            (
                bool(self.newcomers) and not aggregator.private,
                f"newcomers: need private factors to fit, got {self.aggregation.name}, "
                "which has none. List them under evaluate_only.",
            ),
            (
                aggregator.equal_ranks and len(self.given_ranks) > 1,
                f"ranks: must all be the same for {self.aggregation.name}, got "
                f"{sorted(self.given_ranks)}. For mixed ranks: fed-alora-any, flora, "
                "flexlora, hetlora, zeropad.",
            ),
            (
                len(set(nodes)) < len(nodes),
                f"nodes: must be one node per client, got {sorted(nodes)}.",
            ),
            (
                any(rank < 1 for rank in self.given_ranks),
                f"ranks: must be at least 1, got {sorted(self.given_ranks)}.",
            ),
        ]

    @property
    def given_ranks(self) -> set[int]:
        """Return the different ranks that the section lists."""
        ranks = self.ranks or ()
        return set(ranks.values() if isinstance(ranks, dict) else ranks)

    def asks(self, round: int) -> bool:
        """Return whether clients are scored in a round."""
        return self.score_every > 0 and round % self.score_every == 0
