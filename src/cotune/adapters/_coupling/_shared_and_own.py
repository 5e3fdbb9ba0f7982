"""One pair for all tasks plus one pair per task."""

import torch
from torch import Tensor

from ._base import BankSize, Coupling, Forward, Plan, known_row, require


class SharedAndOwn(Coupling):
    """A pair shared by all tasks plus one pair per task: B_0 A_0 + B_t A_t.

    Factor 0 of each bank is the shared one; factor 1 + t belongs to task t.

    Source: FedDPA's dual adapters (arXiv:2403.19211). Differs: a fixed weight of 1 for
    both pairs, without the instance-wise mixing at inference.
    """

    needs_tasks = True
    default_sizes = ("tasks", "tasks")
    shared_factors = 1

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse anything but one pair per task (the shared pair is added)."""
        own = num_A == num_B == "tasks"
        require(own, "shared-and-own", "needs 'tasks' for both banks", num_A, num_B)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return C with ones at (0, 0) and (1 + t, 1 + t), shape (M, N)."""
        own = 1 + known_row(row)
        matrix = torch.zeros(M, N)
        matrix[[0, own], [0, own]] = 1.0
        return matrix

    def plan(self, now: Forward) -> Plan:
        """Pick the shared pair and the pair of each sample's task."""
        assert now.tasks is not None
        pair = torch.stack([torch.zeros_like(now.tasks), 1 + now.tasks], dim=1)
        return Plan(down=pair, up=pair)
