"""Each task has its own learned mixture of the B's."""

import torch
from torch import Tensor

from ._base import BankSize, Coupling, Forward, Plan, known_row, require


class TaskWeights(Coupling):
    """Each task mixes the B's with its own learned weights, softmax(w_t / T).

    The trained weight has shape (tasks, N) and starts at zero: all B's alike.

    Source: MTL-LoRA (arXiv:2410.09437), eq. 5. Differs: the temperature is fixed at
    0.5, and A is one factor as in the paper (num_A = 1).
    """

    needs_tasks = True
    default_sizes = (1, 3)
    trains_weight = True
    weight_per_task = True
    temperature = 0.5

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse more than one A."""
        fits = num_A == 1 and num_B != "tasks"
        require(fits, "task-weights", "needs num_A = 1", num_A, num_B)

    def first_weight(self, M: int, N: int, tasks: int) -> Tensor:
        """Return zeros, shape (tasks, N)."""
        return torch.zeros(tasks, N)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return softmax(w_t / T) as one row, shape (1, N)."""
        assert weight is not None
        return self._shares(weight[known_row(row)]).unsqueeze(0)

    def plan(self, now: Forward) -> Plan:
        """Return a plan whose gate is each sample's mixture."""
        assert now.weight is not None and now.tasks is not None
        return Plan(gate=self._shares(now.weight.index_select(0, now.tasks)))

    def _shares(self, weight: Tensor) -> Tensor:
        return torch.softmax(weight / self.temperature, dim=-1)
