"""Trained pair weights."""

import torch
from torch import Tensor

from ._base import Coupling, Forward, Plan


class Learned(Coupling):
    """C_ij is trained, from all ones on: it starts as ``full`` and lets pairs differ.

    The frozen copies of a start are subtracted with the first C, so that the update is
    zero at step 0 and the base model stays whole.

    Source: ours.
    """

    trains_weight = True

    def first_weight(self, M: int, N: int, tasks: int) -> Tensor:
        """Return ones, shape (M, N)."""
        return torch.ones(M, N)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return the trained weights themselves, shape (M, N)."""
        assert weight is not None
        return weight

    def start_matrix(
        self, weight: Tensor | None, M: int, N: int, row: int | None
    ) -> Tensor:
        """Return the first C, shape (M, N)."""
        return self.first_weight(M, N, 0)

    def plan(self, now: Forward) -> Plan:
        """Mix the larger bank with C, so that min(M, N) blocks are left."""
        matrix = self.matrix(now.weight, now.M, now.N, None)
        ones = self.start_matrix(now.weight, now.M, now.N, None)
        if now.M <= now.N:
            return Plan(up=matrix, up0=ones)
        return Plan(down=matrix.t(), down0=ones.t())
