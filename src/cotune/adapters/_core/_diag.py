"""A diagonal core."""

import torch
from torch import Tensor

from ._base import Core


class DiagCore(Core):
    """S_t is diagonal: r numbers per task and layer.

    Source: CoLoRA (arXiv:2602.07218), a smaller reading of its personal part.
    """

    def first(self, tasks: int, rank: int) -> Tensor:
        """Return ones, shape (tasks, r)."""
        return torch.ones(tasks, rank)

    def apply(self, hidden: Tensor, core: Tensor) -> Tensor:
        """Return S_t h; ``core`` has shape (batch, r)."""
        middle = [1] * (hidden.ndim - 2)
        return hidden * core.view(core.shape[0], *middle, core.shape[1])

    def as_matrix(self, core: Tensor, rank: int) -> Tensor:
        """Return the diagonal matrix, shape (r, r)."""
        return torch.diag(core)
