"""Fixed couplings that give every A its own share of the B's."""

import torch
from torch import Tensor

from ._base import BankSize, StaticCoupling, require


class HeuristicPaper(StaticCoupling):
    """A_i feeds B_i for i < M, and A_M feeds B_M..B_N. Needs M <= N.

    Source: CoLA (arXiv:2505.15471), heuristic collaboration as printed. Degrees at
    (4, 10): 1, 1, 1, 7.
    """

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse more A's than B's."""
        fits = isinstance(num_A, int) and isinstance(num_B, int) and num_A <= num_B
        require(fits, "heuristic-paper", "needs num_A <= num_B", num_A, num_B)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return the 0/1 matrix, shape (M, N)."""
        return one_hot_columns([min(j, M - 1) for j in range(N)], M)


class HeuristicCode(StaticCoupling):
    """q = N // M consecutive B's per A; the N - Mq left over go to A_1, A_2, ...

    Source: the code released with CoLA (arXiv:2505.15471), which differs from the
    paper. Degrees at (4, 10): 3, 3, 2, 2.
    """

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse more A's than B's."""
        fits = isinstance(num_A, int) and isinstance(num_B, int) and num_A <= num_B
        require(fits, "heuristic-code", "needs num_A <= num_B", num_A, num_B)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return the 0/1 matrix, shape (M, N)."""
        q = N // M
        owners = [i for i in range(M) for _ in range(q)] + list(range(N - M * q))
        return one_hot_columns(owners, M)


def one_hot_columns(owners: list[int], M: int) -> Tensor:
    """Return C of shape (M, len(owners)) with C[owners[j], j] = 1."""
    matrix = torch.zeros(M, len(owners))
    matrix[owners, torch.arange(len(owners))] = 1.0
    return matrix
