"""How wrong a fit is, and how a batch of fits is summed up: medians, never means."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

SUCCESS = 1e-6
"""Relative error below which the truth counts as recovered."""


def relative_error(
    update: Float[Tensor, "seeds ... d_out d_in"],
    truth: Float[Tensor, "seeds ... d_out d_in"],
) -> Float[Tensor, " seeds"]:
    """Return ||update - truth||_F / ||truth||_F over all users of a problem.

    Args:
        update: Fitted matrices; (seeds, 1, d_out, d_in) stands for one for all.
        truth: True matrices.

    Returns:
        One number per seed; infinite where a fit has diverged.
    """
    gap = (update - truth).square().sum(dim=(1, 2, 3)).sqrt()
    error = gap / truth.square().sum(dim=(1, 2, 3)).sqrt()
    return error.nan_to_num(nan=float("inf"))


def median(values: Float[Tensor, " seeds"]) -> float:
    """Return the median; the mean of the middle two for an even number."""
    return float(values.quantile(0.5))


def count_successes(errors: Float[Tensor, " seeds"]) -> int:
    """Count the problems whose relative error is below 1e-6."""
    return int((errors < SUCCESS).sum())


def success_rate(errors: Float[Tensor, " seeds"]) -> float:
    """Return the fraction of problems whose relative error is below 1e-6."""
    return count_successes(errors) / len(errors)
