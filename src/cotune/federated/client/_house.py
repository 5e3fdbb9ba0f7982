"""A client's own: who it is, what it has agreed to, and where its things lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._plan import Client, Plan
from .._store import PrivateStore


@dataclass(frozen=True)
class House:
    """A client's own: who it is, its part of the plan, and its folder.

    Args:
        plan: The recipe, with the paths of this client.
        client: Who it is.
        folder: Private factors of all experiments, and the log.
    """

    plan: Plan
    client: Client
    folder: Path

    def store(self, experiment: str) -> PrivateStore:
        """Return where this client keeps what never leaves it."""
        return PrivateStore(self.folder, experiment, self.client.name)
