"""A full r x r core."""

import torch
from torch import Tensor

from ._base import Core


class FullCore(Core):
    """S_t is any matrix: r^2 numbers per task and layer.

    Source: CoLoRA (arXiv:2602.07218), W_t = W_0 + s B S_t A.
    """

    def first(self, tasks: int, rank: int) -> Tensor:
        """Return identities, shape (tasks, r, r)."""
        return torch.eye(rank).repeat(tasks, 1, 1)

    def apply(self, hidden: Tensor, core: Tensor) -> Tensor:
        """Return S_t h; ``core`` has shape (batch, r, r)."""
        flat = hidden.flatten(1, -2)
        return torch.bmm(flat, core.transpose(1, 2)).view_as(hidden)

    def as_matrix(self, core: Tensor, rank: int) -> Tensor:
        """Return the core itself."""
        return core
