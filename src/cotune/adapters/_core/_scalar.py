"""One number per task."""

import torch
from torch import Tensor

from ._base import Core


class ScalarCore(Core):
    """S_t is a multiple of the identity: one number per task and layer.

    Source: CoLoRA (arXiv:2602.07218), the smallest reading of its personal part.
    """

    def first(self, tasks: int, rank: int) -> Tensor:
        """Return ones, shape (tasks,)."""
        return torch.ones(tasks)

    def apply(self, hidden: Tensor, core: Tensor) -> Tensor:
        """Return S_t h; ``core`` has shape (batch,)."""
        return hidden * core.view(-1, *[1] * (hidden.ndim - 1))

    def as_matrix(self, core: Tensor, rank: int) -> Tensor:
        """Return the multiple of the identity, shape (r, r)."""
        return core * torch.eye(rank, dtype=core.dtype, device=core.device)
