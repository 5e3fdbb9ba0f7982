"""Every A feeds every B."""

import torch
from torch import Tensor

from ._base import StaticCoupling


class Full(StaticCoupling):
    """C is all ones: delta W = s (sum_j B_j)(sum_i A_i), of rank r at most.

    With equal starts and no dropout all A_i get the same gradient and stay equal, and
    so do all B_j: (M, N) is then PiSSA of rank r with the learning rate times M on A
    and times N on B (AdamW, SGD with momentum; not under global-norm clipping). Use
    ``start="pissa-split"`` or ``coupling="learned"`` to let the factors differ.

    Source: CoLA (arXiv:2505.15471), full collaboration. Same function, but the sums are
    taken first, so that the cost does not grow with M and N.
    """

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Return ones, shape (M, N)."""
        return torch.ones(M, N)
