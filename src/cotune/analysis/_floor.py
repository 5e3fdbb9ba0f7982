"""How much of several updates one shared pair of subspaces must miss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .._adapter import LowRank
from ..operators.convert._linalg import qr, svd


@dataclass(frozen=True)
class Floor:
    """Squared errors, summed over the updates of a group.

    Args:
        least: No shared B, A of this rank can do better.
        reached: What the leading subspaces do; at most twice ``least``.
    """

    least: float
    reached: float


def joint_cores(
    updates: Sequence[LowRank],
) -> list[Float[Tensor, "m_out m_in"]]:
    """Write updates in common orthonormal bases: delta_i = Q_B M_i Q_A^T.

    Args:
        updates: All of one shape; ranks may differ. Nothing is multiplied out.

    Returns:
        The M_i in fp64, at most (sum of ranks) wide; angles and norms are those of the
        updates.
    """
    _, R_B = qr(torch.cat([update.B.double() for update in updates], dim=1))
    _, R_A = qr(torch.cat([update.A.double() for update in updates]).T)
    cores: list[Tensor] = []
    start = 0
    for update in updates:
        own = slice(start, start + update.rank)
        cores.append(R_B[:, own] @ R_A[:, own].T)
        start += update.rank
    return cores


def shared_floor(cores: Sequence[Float[Tensor, "m_out m_in"]], rank: int) -> Floor:
    """Bound the error of delta_i = B S_i A with B and A shared, S_i free.

    The error is at least what the best column space misses, and at least what the best
    row space misses: tails of the singular values of the updates side by side, and of
    the updates stacked. Projecting on both leading spaces reaches at most their sum.

    Args:
        cores: Updates in common bases, see :func:`joint_cores`; scaled as they count.
        rank: Columns of B and rows of A.

    Returns:
        Both sums of squares.

    Source: ``theory.md``, E4c (an unshared part of size eps leaves an error of eps);
    De Lathauwer et al. 2000, property 10 (higher-order SVD).
    """
    # Only one side of each is needed: QR first, then the SVD of a small square matrix.
    left, S_left, _ = svd(qr(torch.cat(list(cores), dim=1).T)[1].T)
    _, S_right, right = svd(qr(torch.cat(list(cores)))[1])
    tails = [float(S[rank:].square().sum()) for S in (S_left, S_right)]
    B, A = left[:, :rank], right[:rank]
    missed = sum(float((M - B @ (B.T @ M @ A.T) @ A).square().sum()) for M in cores)
    return Floor(max(tails), missed)
