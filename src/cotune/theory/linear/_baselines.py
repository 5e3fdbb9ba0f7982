"""What a user gets alone, and what one solution for all users gets."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from .._algebra import left_directions, pseudo_inverse, truncate
from ._problem import Problem


def fit_local(problem: Problem) -> Float[Tensor, "seeds users d_out d_in"]:
    """Fit every user alone: minimum-norm least squares, truncated to rank r.

    Args:
        problem: The data of all users.

    Returns:
        One matrix per user.
    """
    return truncate(problem.Y @ pseudo_inverse(problem.X), problem.rank)


def fit_pooled(problem: Problem) -> Float[Tensor, "seeds 1 d_out d_in"]:
    """Fit one rank-r matrix to the data of all users.

    Args:
        problem: The data of all users.

    Returns:
        The rank-r matrix of least squared residual over all samples (reduced-rank
        regression: least squares, then the top r directions of the fitted values).
    """
    X, Y = _join(problem.X), _join(problem.Y)
    full = Y @ pseudo_inverse(X)
    top = left_directions(full @ X, problem.rank)
    return (top @ (top.mT @ full))[:, None]


def _join(parts: Float[Tensor, "seeds users d n"]) -> Float[Tensor, "seeds d kn"]:
    return parts.movedim(1, 2).flatten(2)
