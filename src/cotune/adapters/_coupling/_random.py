"""Each factor of one bank meets one randomly drawn factor of the other."""

import torch
from torch import Tensor

from ._base import StaticCoupling


class Random(StaticCoupling):
    """Each A_i feeds one B_j, drawn uniformly in every training forward.

    The draw takes torch's global CPU generator, so a seed repeats it and activation
    checkpointing replays it.

    Source: CoLA (arXiv:2505.15471), random collaboration. Differs: in evaluation C is
    the expectation 1/N, so the model is deterministic and can be merged; the released
    code draws at inference too.
    """

    draws = True

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return the expectation, 1/N everywhere, shape (M, N), exact in fp64."""
        return torch.full((M, N), 1.0 / N, dtype=torch.float64)

    def draw(self, M: int, N: int) -> Tensor:
        """Return one draw: a one in every row, shape (M, N)."""
        return one_per_row(M, N)


class RandomReversed(StaticCoupling):
    """Each B_j takes one A_i, drawn uniformly in every training forward.

    Source: CoLA (arXiv:2505.15471), random collaboration seen from B; evaluation as in
    :class:`Random`.
    """

    draws = True

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return the expectation, 1/M everywhere, shape (M, N), exact in fp64."""
        return torch.full((M, N), 1.0 / M, dtype=torch.float64)

    def draw(self, M: int, N: int) -> Tensor:
        """Return one draw: a one in every column, shape (M, N)."""
        return one_per_row(N, M).t()


def one_per_row(rows: int, columns: int) -> Tensor:
    """Draw a 0/1 matrix (rows, columns) with a single one in each row."""
    drawn = torch.zeros(rows, columns)
    drawn[torch.arange(rows), torch.randint(columns, (rows,))] = 1.0
    return drawn
