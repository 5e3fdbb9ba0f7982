"""Linear algebra with types: torch declares its own as returning anything."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def orthonormal_columns(
    matrix: Float[Tensor, "*batch d r"],
) -> Float[Tensor, "*batch d r"]:
    """Return the Q of the QR with positive diagonal of R; d is at least r.

    With that choice of signs, a matrix of standard normal numbers gives a uniformly
    drawn Q.
    """
    basis, triangle = torch.linalg.qr(matrix)
    negative = triangle.diagonal(dim1=-2, dim2=-1) < 0
    return torch.where(negative[..., None, :], -basis, basis)


def orthonormal_rows(
    matrix: Float[Tensor, "*batch r d"],
) -> Float[Tensor, "*batch r d"]:
    """Return an orthonormal basis of the row space, as :func:`orthonormal_columns`."""
    return orthonormal_columns(matrix.mT).mT


def left_directions(
    matrix: Float[Tensor, "*batch p q"], rank: int
) -> Float[Tensor, "*batch p r"]:
    """Return the left singular vectors of the ``rank`` largest singular values."""
    return torch.linalg.svd(matrix, full_matrices=False)[0][..., :rank]


def right_directions(
    matrix: Float[Tensor, "*batch p q"], rank: int
) -> Float[Tensor, "*batch r q"]:
    """Return the right singular vectors of the ``rank`` largest singular values."""
    return torch.linalg.svd(matrix, full_matrices=False)[2][..., :rank, :]


def truncate(
    matrix: Float[Tensor, "*batch p q"], rank: int
) -> Float[Tensor, "*batch p q"]:
    """Return the nearest matrix of the given rank, in Frobenius norm."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return (left[..., :rank] * values[..., None, :rank]) @ right[..., :rank, :]


def pseudo_inverse(
    matrix: Float[Tensor, "*batch p q"],
) -> Float[Tensor, "*batch q p"]:
    """Return the Moore-Penrose inverse."""
    return torch.linalg.pinv(matrix)


def frobenius(matrix: Float[Tensor, "*batch p q"]) -> Float[Tensor, "*batch 1 1"]:
    """Return the Frobenius norm, kept as two axes of length 1."""
    return torch.linalg.matrix_norm(matrix, keepdim=True)


def solve(
    matrix: Float[Tensor, "*batch p p"], right: Float[Tensor, "*batch p c"]
) -> Float[Tensor, "*batch p c"]:
    """Return x with matrix @ x = right; not finite where the matrix is singular.

    It never raises: one failed problem must not end the whole batch.
    """
    return torch.linalg.solve_ex(matrix, right)[0]


def least_squares(
    matrix: Float[Tensor, "*batch m p"], right: Float[Tensor, "*batch m c"]
) -> Float[Tensor, "*batch p c"]:
    """Return the x of least ||matrix @ x - right||; ``matrix`` has full column rank."""
    return torch.linalg.lstsq(matrix, right).solution


def solve_from(
    gram: Float[Tensor, "*batch p p"],
    right: Float[Tensor, "*batch p c"],
    now: Float[Tensor, "*batch p c"],
) -> Float[Tensor, "*batch p c"]:
    """Solve gram @ x = right, moving from ``now`` only where the data say so.

    Args:
        gram: Symmetric and positive semi-definite; may be singular.
        right: Right-hand side, in the range of ``gram``.
        now: The present value of x.

    Returns:
        A solution: the damping of 1e-13 of the mean diagonal leaves ``now`` alone in
        the null space of ``gram``, and has no effect where right = gram @ now.
    """
    damping = 1e-13 * gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    damped = add_diagonal(gram, damping[..., None])
    return now + solve(damped, right - gram @ now)


def add_diagonal(
    matrix: Float[Tensor, "*batch p p"], value: float | Tensor
) -> Float[Tensor, "*batch p p"]:
    """Add a number, or one number per matrix (*batch, 1), to every diagonal entry."""
    ones = torch.ones(matrix.shape[-1], dtype=matrix.dtype)
    return matrix + torch.diag_embed(ones * value)
