"""From banks, coupling, core and start to one plain update, without a model."""

from __future__ import annotations

import torch
from torch import Tensor

from .._adapter import Factors, LowRank
from .._errors import ConfigError
from ._core import CORES
from ._coupling import COUPLINGS, mix_bank, split_matrix


def resolve(
    factors: Factors,
    coupling: str,
    core: str = "none",
    row: int | None = None,
    shares: Tensor | None = None,
) -> LowRank:
    """Write one task's update as a single low-rank pair, exactly.

    Args:
        factors: All tensors of the layer.
        coupling: Name in ``COUPLINGS``.
        core: Name in ``CORES``, or ``"none"``.
        row: Row of the task; None if nothing depends on it.
        shares: For routed couplings: the average router weight of every expert,
            shape (experts,), to stand in for the router. Not exact.

    Returns:
        The update, of rank K r (twice that with the copies of a start), where K is 1
        for ``full`` and at most min(M, N) else.

    Raises:
        ConfigError: The coupling is routed and no shares are given, or shares that it
            has no use for; or a task is needed and ``row`` is None.
    """
    matrix, first = coupling_matrices(factors, coupling, row, shares)
    own = _pair(factors.A, factors.B, matrix, _core_matrix(factors, core, row))
    A, B = own
    if factors.A0 is not None and factors.B0 is not None:
        # Copies that are all equal are there once only.
        A0, B0 = factors.A0.expand_as(factors.A), factors.B0.expand_as(factors.B)
        A0, B0 = _pair(A0, B0, first, None)
        A, B = torch.cat([A, A0]), torch.cat([B, -B0], dim=1)
    return LowRank(A, factors.scale * B)


def coupling_matrices(
    factors: Factors, coupling: str, row: int | None, shares: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return C of the factors and C of the frozen start copies, both (M, N).

    Raises:
        ConfigError: As :func:`resolve`.
    """
    M, N = factors.A.shape[0], factors.B.shape[0]
    rule = COUPLINGS[coupling]()
    if shares is not None:
        experts = rule.experts(M, N)
        if shares.shape != (experts,):
            raise ConfigError(
                f"shares: must be one number per expert of a router, {experts} with "
                f"coupling '{coupling}', got shape {tuple(shares.shape)}. Leave them "
                "out without a router."
            )
        spread = torch.diag(shares) if M == N else shares.view(M, N)
        return spread, spread
    with torch.device(factors.A.device):
        return (
            rule.matrix(factors.weight, M, N, row),
            rule.start_matrix(factors.weight, M, N, row),
        )


def _core_matrix(factors: Factors, core: str, row: int | None) -> Tensor | None:
    if factors.core is None:
        return None
    from ._coupling._base import known_row

    return CORES[core]().as_matrix(factors.core[known_row(row)], factors.rank)


def _pair(
    A: Tensor, B: Tensor, matrix: Tensor, core: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return (K r, d_in) and (d_out, K r) with sum_ij C_ij B_j S A_i as product."""
    down, up = split_matrix(matrix.to(A))
    A = mix_bank(A, down)
    B = mix_bank(B, up)
    if core is not None:
        A = core @ A
    return A.flatten(0, 1), B.permute(1, 0, 2).flatten(1, 2)
