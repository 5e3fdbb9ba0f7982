"""Align the updates in one shared basis, then ties."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._adapter import LowRank, as_dtype
from ..convert._linalg import qr, svd
from ..prune._threshold import keep_largest
from ._inputs import check_inputs, check_share
from ._ties import average_agreeing


def knots(
    updates: Sequence[LowRank],
    weights: Sequence[float],
    *,
    density: float = 0.2,
    scale: float = 1.0,
) -> LowRank:
    """Write all updates in one orthonormal basis of outputs and merge there by ties.

    [delta_1 .. delta_n] = U S [V_1 .. V_n]; ties acts on the matrices S V_k, which have
    at most sum_k r_k rows, so no d_out x d_in matrix is formed and the result is exact.

    Args:
        updates: One per adapter, of one shape; ranks may differ.
        weights: One per update; only their ratios count (see ``ties``).
        density: Share of the entries of each S V_k that survives, in [0, 1].
        scale: Factor on the merged update.

    Returns:
        B = U and A = the merged S V, of rank min(d_out, sum_k r_k).

    Raises:
        ConfigError: The inputs do not fit together, or ``density`` is outside [0, 1].

    Source: arXiv:2410.19735 (KnOTS-TIES), with S on V as in its released settings.
    Differs: see ``ties``; its rule for cancelled votes makes the result independent of
    the signs that the SVD happens to choose. Equal singular values leave the basis, and
    so the result, undetermined.
    """
    check_share("knots", "density", density)
    inputs = check_inputs("knots", updates, weights).positive()
    basis, coordinates = shared_basis(inputs.updates)
    trimmed = [keep_largest(matrix, density) for matrix in coordinates]
    merged = scale * average_agreeing(trimmed, inputs.weights)
    return as_dtype(LowRank(A=merged, B=basis), inputs.dtype)


def shared_basis(updates: Sequence[LowRank]) -> tuple[Tensor, list[Tensor]]:
    """Factor all updates as delta_k = U C_k with one orthonormal U.

    Args:
        updates: Of one shape (d_out, d_in), in fp32 or fp64.

    Returns:
        U, the left singular vectors of [delta_1 .. delta_n], shape (d_out, m) with
        m = min(d_out, sum_k r_k), largest singular value first, and the C_k = S V_k of
        shape (m, d_in).
    """
    Q, R = qr(torch.cat([update.B for update in updates], dim=1))
    blocks = torch.split(R, [update.rank for update in updates], dim=1)
    # A_k = R_k^T Q_k^T, and the Q_k act on different columns, so they leave U alone.
    cores = [
        block @ qr(update.A.T)[1].T
        for block, update in zip(blocks, updates, strict=True)
    ]
    U = svd(torch.cat(cores, dim=1))[0]
    coordinates = [
        (U.T @ block) @ update.A for block, update in zip(blocks, updates, strict=True)
    ]
    return Q @ U, coordinates
