"""What the server knows between two rounds, and how it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from .._checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .._plan import Plan
from ..aggregation import Packet


@dataclass
class Ledger:
    """The state of a run between two rounds.

    Args:
        state: The aggregator's state.
        experiment: Id of the run; names the clients' stores.
        round: The last round that is done.
        base: Client -> the last round in which its reply was counted.
        rounds: What ``rounds.json`` says, one entry per round.
        account: Privacy spent, as the accountant writes it; None: none is counted.
    """

    state: Packet
    experiment: str = field(default_factory=lambda: uuid4().hex)
    round: int = 0
    base: dict[str, int] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    account: list[dict[str, Any]] | None = None

    @property
    def version(self) -> int:
        """Return the round that made the state; 0: none yet."""
        made = [entry["round"] for entry in self.rounds if not entry["skipped"]]
        return max(made, default=0)

    def save(self, folder: Path, plan: Plan) -> None:
        """Write the checkpoint of a run.

        Args:
            folder: Of the run.
            plan: Whose run.
        """
        clients = {
            client.name: {
                "base": self.base.get(client.name, 0),
                "experiment": self.experiment,
            }
            for client in plan.clients
        }
        save_checkpoint(
            folder,
            Checkpoint(
                round=self.round,
                state=self.state,
                recipe=plan.identity,
                accountant=self.account,
                history=self.rounds,
                clients=clients,
            ),
        )

    @classmethod
    def load(cls, folder: Path, plan: Plan) -> Ledger | None:
        """Read the checkpoint of a run.

        Returns:
            What was saved; None if there is no checkpoint.

        Raises:
            ConfigError: It is of another recipe, or broken.
        """
        saved = load_checkpoint(folder, plan.identity)
        if saved is None:
            return None
        experiment = next(iter(saved.clients.values()))["experiment"]
        base = {name: found["base"] for name, found in saved.clients.items()}
        rounds = [dict(entry) for entry in saved.history]
        return cls(saved.state, experiment, saved.round, base, rounds, saved.accountant)
