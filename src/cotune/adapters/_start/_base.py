"""What a start is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class StartShape:
    """The layer that a start fills.

    Args:
        M: Number of A's.
        N: Number of B's.
        r: Rank of one factor.
        d_in: Inputs of the layer.
        d_out: Outputs of the layer.
        scale: alpha / r, or alpha / sqrt(r).
        exact_svd: Take the exact SVD where one is needed, not the fast one.
        svd_iterations: Blocks of the fast SVD after the first.
    """

    M: int
    N: int
    r: int
    d_in: int
    d_out: int
    scale: float
    exact_svd: bool = False
    svd_iterations: int = 12


@dataclass(frozen=True)
class StartFactors:
    """What a layer begins with. B is stored r x d_out, see ``_layer.py``.

    Args:
        A: Shape (M, r, d_in).
        B: Shape (N, r, d_out).
        A0: Frozen copies to subtract, (M, r, d_in) or (1, r, d_in) if equal; or None.
        B0: As ``A0``, (N, r, d_out) or (1, r, d_out); or None.
    """

    A: Float[Tensor, "M r d_in"]
    B: Float[Tensor, "N r d_out"]
    A0: Float[Tensor, "M0 r d_in"] | None = None
    B0: Float[Tensor, "N0 r d_out"] | None = None

    @property
    def alike(self) -> bool:
        """Whether there are several A's or B's, and all of a bank begin the same."""
        several = len(self.A) > 1 or len(self.B) > 1
        return several and self.A0 is not None and len(self.A0) == 1


def zero_B(shape: StartShape) -> Float[Tensor, "N r d_out"]:
    """Return zeros for the B bank, so that the update starts at zero."""
    return torch.zeros(shape.N, shape.r, shape.d_out)
