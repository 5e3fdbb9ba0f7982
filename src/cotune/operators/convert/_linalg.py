"""The few decompositions that operators use, with types: torch.linalg has none."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_linalg: Any = torch.linalg


def qr(
    matrix: Float[Tensor, "rows columns"],
) -> tuple[Float[Tensor, "rows m"], Float[Tensor, "m columns"]]:
    """Factor a matrix as Q R with orthonormal Q; m = min(rows, columns).

    Args:
        matrix: In fp32 or fp64, of any rank.

    Returns:
        Q and the upper triangular R.
    """
    Q, R = _linalg.qr(matrix)
    return Q, R


def svd(
    matrix: Float[Tensor, "rows columns"],
) -> tuple[Float[Tensor, "rows m"], Float[Tensor, " m"], Float[Tensor, "m columns"]]:
    """Factor a matrix as U diag(S) Vh; m = min(rows, columns).

    Args:
        matrix: In fp32 or fp64, finite.

    Returns:
        U, S from large to small, and Vh.
    """
    U, S, Vh = _linalg.svd(matrix, full_matrices=False)
    return U, S, Vh


def norm(tensor: Float[Tensor, "*shape"]) -> float:
    """Return the Euclidean (for a matrix: Frobenius) norm, at least 0."""
    # Row by row, then in fp64: one fp32 sum over 4096 x 4096 squares is off by 5e-5.
    rows: Tensor = _linalg.vector_norm(tensor if tensor.ndim else tensor[None], dim=-1)
    return float(_linalg.vector_norm(rows.cpu().double()))


def row_norms(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, " rows"]:
    """Return the Euclidean norm of each row."""
    lengths: Tensor = _linalg.vector_norm(matrix, dim=1)
    return lengths
