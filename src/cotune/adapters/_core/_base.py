"""What every core provides."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor


class Core(ABC):
    """The small personal part S_t between A and B, one per task."""

    @abstractmethod
    def first(self, tasks: int, rank: int) -> Tensor:
        """Return the cores at the start, the identity for every task.

        Args:
            tasks: Number of tasks, the first axis of what is returned.
            rank: r, the width of the factors.
        """

    @abstractmethod
    def apply(
        self, hidden: Float[Tensor, "batch *blocks r"], core: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch *blocks r"]:
        """Apply each sample's core.

        Args:
            hidden: A x of every sample, the r axis last.
            core: The core of every sample's task, batch first.
        """

    @abstractmethod
    def as_matrix(self, core: Tensor, rank: int) -> Float[Tensor, "r r"]:
        """Return one task's core as a full matrix S_t, shape (r, r)."""
