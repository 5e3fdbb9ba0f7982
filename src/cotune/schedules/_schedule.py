"""What a schedule is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from ._groups import Group


@runtime_checkable
class Schedule(Protocol):
    """Says which groups are on in a step, as a pure function.

    Whoever asks gets the same answer: every rank, and a run that was resumed.
    """

    @property
    def groups(self) -> str:
        """Name in ``GROUPINGS``: which layers are switched together."""
        ...

    def probability(self, step: int, total: int) -> float:
        """Return the mean probability that a group is on.

        Args:
            step: Optimizer step, from 0.
            total: Number of optimizer steps of the run.
        """
        ...

    def mask(self, step: int, total: int, groups: Sequence[Group]) -> dict[str, bool]:
        """Return whether each group is on.

        Args:
            step: Optimizer step, from 0.
            total: Number of optimizer steps of the run.
            groups: The groups of the model.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """Return all that decides the masks, ready for JSON."""
        ...
