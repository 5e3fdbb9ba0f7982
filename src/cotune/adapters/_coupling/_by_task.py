"""The task of the sample chooses the factors."""

import torch
from torch import Tensor

from ._base import BankSize, Coupling, Forward, Plan, known_row, require


class ByTask(Coupling):
    """Each task has its own A, its own B, or both; a bank of size 1 is shared.

    Source: ALoRA (arXiv:2509.25414), the variant with A_t for a sample of task t and no
    router; with ``num_B`` = tasks also the other way round.
    """

    needs_tasks = True
    default_sizes = ("tasks", 1)

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse banks that are neither shared nor one factor per task."""
        rule = "needs 1 or 'tasks' for both banks, and 'tasks' for one at least"
        known = {num_A, num_B} <= {1, "tasks"} and "tasks" in (num_A, num_B)
        require(known, "by-task", rule, num_A, num_B)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return C with a single one, at the factors of the task, shape (M, N)."""
        row = known_row(row)
        matrix = torch.zeros(M, N)
        matrix[row if M > 1 else 0, row if N > 1 else 0] = 1.0
        return matrix

    def plan(self, now: Forward) -> Plan:
        """Pick the factors of each sample's task."""
        assert now.tasks is not None
        own = now.tasks.unsqueeze(1)
        return Plan(down=own if now.M > 1 else None, up=own if now.N > 1 else None)
