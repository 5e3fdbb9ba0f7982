"""Shrink the rank of an update, and say how much was lost."""

from __future__ import annotations

import math
from typing import NamedTuple, overload

import torch
from jaxtyping import Float
from torch import Tensor

from ..._adapter import LowRank, as_dtype
from ..._errors import ConfigError
from ._linalg import norm, qr, svd

OVERSAMPLING = 8
"""Extra random directions of the approximate SVD (Halko et al., arXiv:0909.4061)."""


class Recompressed(NamedTuple):
    """A smaller update and what it cost.

    Args:
        update: The new factors.
        error: ||old - new|| / ||old|| in the Frobenius norm, measured on the returned
            tensors, so rounding to a short dtype is part of it. 0 for a zero update.
    """

    update: LowRank
    error: float


def recompress(
    update: LowRank | Float[Tensor, "d_out d_in"],
    rank: int | None = None,
    *,
    max_error: float | None = None,
    energy: float | None = None,
    iterations: int | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> Recompressed:
    """Find the nearest update of a smaller rank (truncated SVD).

    A low-rank update is never multiplied out: QR of both factors, then the SVD of the
    r x r core. A dense update takes an SVD of its own size. Works in fp32, or in fp64
    for fp64 input. The new factors share the singular values evenly (B = U sqrt(S)).

    Args:
        update: Factors, or one dense matrix of shape (d_out, d_in).
        rank: Largest rank of the result, at least 1. The result has a lower one if the
            matrix cannot have more: min(rank, r, d_out, d_in).
        max_error: Take the smallest rank whose relative error is at most this, in
            [0, 1). With ``rank`` too, ``rank`` is the limit and the error may be above.
        energy: The same said as a share of the squared norm, in (0, 1]: energy = 1 -
            max_error^2.
        iterations: For a dense update: None takes the exact SVD; a number takes a
            random subspace with so many power iterations, which needs ``rank`` and
            ``generator``. Factors are always exact.
        generator: Draws that random subspace.
        dtype: Of the result; None keeps that of ``update``.

    Returns:
        The new update and its measured relative error. Factors that are small enough
        already are returned as they are, not copied.

    Raises:
        ConfigError: No target, a target outside its range, two error targets, or an
            update with NaN or infinite entries.
    """
    _check_targets(rank, max_error, energy, iterations, generator)
    given = update.B.dtype if isinstance(update, LowRank) else update.dtype
    dtype = given if dtype is None else dtype
    limit = _largest_rank(update, rank)
    if isinstance(update, LowRank) and max_error is None and energy is None:
        if update.rank <= limit:
            # Nothing to cut; the cast is all that can cost something.
            return _measured(update, as_dtype(update, dtype))
    work = in_working_precision(update)
    U, S, Vh = _decompose(work, limit, iterations, generator)
    if energy is not None:
        max_error = math.sqrt(1 - energy)
    if max_error is None:
        kept = limit
    else:
        # A random subspace does not show the whole: what lies outside counts, too.
        whole = None if isinstance(work, LowRank) or iterations is None else norm(work)
        kept = min(limit, _rank_within(S, max_error, whole))
    root = S[:kept].sqrt()
    result = LowRank(A=root[:, None] * Vh[:kept], B=U[:, :kept] * root)
    return _measured(work, as_dtype(result, dtype))


def relative_distance(
    old: LowRank | Float[Tensor, "d_out d_in"], new: LowRank
) -> float:
    """Measure ||old - new|| / ||old|| in the Frobenius norm.

    Two low-rank updates are compared through QR, without a d_out x d_in matrix.

    Args:
        old: The reference, factors or dense.
        new: What is compared with it, of the same shape.

    Returns:
        A number >= 0; 0 if both are zero, infinity if only ``old`` is.
    """
    reference, other = in_working_precision(old), in_working_precision(new)
    if isinstance(reference, LowRank):
        gap = LowRank(
            A=torch.cat([reference.A, other.A]),
            B=torch.cat([reference.B, -other.B], dim=1),
        )
        lost, size = frobenius_norm(gap), frobenius_norm(reference)
    else:
        lost, size = norm(reference - other.delta()), norm(reference)
    if size == 0:
        return 0.0 if lost == 0 else math.inf
    return lost / size


def frobenius_norm(update: LowRank) -> float:
    """Return ||B A|| in the Frobenius norm without multiplying out.

    By QR and not by traces of Gram matrices: those lose half the digits, so that the
    norm of a small difference would be noise.

    Args:
        update: A of shape (r, d_in), B of shape (d_out, r).

    Returns:
        The norm, >= 0, in units of the base weight.
    """
    return norm(_core(in_working_precision(update))[1])


@overload
def in_working_precision(update: LowRank) -> LowRank: ...


@overload
def in_working_precision(
    update: Float[Tensor, "d_out d_in"],
) -> Float[Tensor, "d_out d_in"]: ...


def in_working_precision(
    update: LowRank | Float[Tensor, "d_out d_in"],
) -> LowRank | Float[Tensor, "d_out d_in"]:
    """Return the update in fp32, or in fp64 if it is that already (then not copied)."""
    if isinstance(update, LowRank):
        return as_dtype(update, working_dtype(update.A.dtype, update.B.dtype))
    return update.to(working_dtype(update.dtype))


def working_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """Return fp64 if one dtype is fp64, else fp32: bf16 has neither QR nor SVD."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def _check_targets(
    rank: int | None,
    max_error: float | None,
    energy: float | None,
    iterations: int | None,
    generator: torch.Generator | None,
) -> None:
    if rank is None and max_error is None and energy is None:
        raise ConfigError(
            "recompress: a target is needed, got none. Give rank, max_error or energy."
        )
    if max_error is not None and energy is not None:
        raise ConfigError(
            "recompress: max_error and energy say the same thing, got both. Give one."
        )
    if rank is not None and rank < 1:
        raise ConfigError(f"recompress: rank must be at least 1, got {rank!r}.")
    if max_error is not None and not 0 <= max_error < 1:
        raise ConfigError(
            f"recompress: max_error must be in [0, 1), got {max_error!r}."
        )
    if energy is not None and not 0 < energy <= 1:
        raise ConfigError(f"recompress: energy must be in (0, 1], got {energy!r}.")
    if iterations is None:
        return
    if iterations < 0 or rank is None or generator is None:
        raise ConfigError(
            "recompress: iterations must be at least 0 and needs rank and generator, "
            f"got iterations={iterations!r}, rank={rank!r}, generator={generator!r}."
        )


def _largest_rank(update: LowRank | Tensor, rank: int | None) -> int:
    limit = min(update.shape)
    if isinstance(update, LowRank):
        # Above min(d) the factors are redundant: a rank of min(d) is still exact.
        limit = min(limit, update.rank)
    return limit if rank is None else min(limit, rank)


def _measured(old: LowRank | Tensor, new: LowRank) -> Recompressed:
    if isinstance(old, LowRank) and old.A is new.A and old.B is new.B:
        return Recompressed(new, 0.0)
    return Recompressed(new, relative_distance(old, new))


def _decompose(
    update: LowRank | Tensor,
    rank: int,
    iterations: int | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest singular triplets of an update in working precision."""
    if isinstance(update, LowRank):
        Q_B, core, Q_A = _core(update)
        U, S, Vh = svd(core)
        return Q_B @ U, S, Vh @ Q_A.T
    if iterations is None or generator is None:
        return svd(_finite(update))
    return _svd_of_subspace(_finite(update), rank, iterations, generator)


def _core(update: LowRank) -> tuple[Tensor, Tensor, Tensor]:
    """Return Q_B, R_B R_A^T and Q_A of an update, so that B A = Q_B core Q_A^T."""
    Q_B, R_B = qr(update.B)
    Q_A, R_A = qr(update.A.T)
    return Q_B, _finite(R_B @ R_A.T), Q_A


def _svd_of_subspace(
    delta: Tensor, rank: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Approximate the largest singular triplets; Halko et al., algorithms 4.4, 5.1."""
    width = min(rank + OVERSAMPLING, *delta.shape)
    probe = torch.randn(
        delta.shape[1], width, generator=generator, device=generator.device
    )
    basis = qr(delta @ probe.to(delta))[0]
    for _ in range(iterations):
        basis = qr(delta.T @ basis)[0]
        basis = qr(delta @ basis)[0]
    U, S, Vh = svd(basis.T @ delta)
    return basis @ U, S, Vh


def _rank_within(S: Tensor, max_error: float, whole: float | None) -> int:
    """Return the smallest rank, at least 1, whose tail is within the error.

    ``whole`` is the norm of the update where S has only a part of it. If not even all
    of S is enough, the rank returned is above len(S).
    """
    # tail[k] = norm of what a rank of k leaves out, from the small values upwards.
    tail = S.flip(0).square().cumsum(0).flip(0)
    beyond = 0.0 if whole is None else max(0.0, whole**2 - float(tail[0]))
    tail = torch.cat([tail, tail.new_zeros(1)]).add(beyond).sqrt()
    return max(1, int((tail > max_error * tail[0]).sum()))


def _finite(matrix: Tensor) -> Tensor:
    if not torch.isfinite(matrix).all():
        raise ConfigError(
            "recompress: the update must be finite, got NaN or infinite entries. "
            "Check the training run that wrote it."
        )
    return matrix
