"""Bring the factors of several adapters close together, then average them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..._adapter import LowRank, as_dtype
from ..._errors import ConfigError
from ..convert._recompress import in_working_precision
from ._fuse import fuse
from ._inputs import check_inputs, same_rank

Matrix = NDArray[np.float64]


def align(
    updates: Sequence[LowRank],
    weights: Sequence[float],
    *,
    reference: int = 0,
    iterations: int = 200,
) -> LowRank:
    """Fit an invertible P per adapter that brings its factors near, then ``fuse``.

    (B P) (P^-1 A) is the same update for every P, but ``fuse`` averages factors, and
    its error -w (1 - w) (B_1 - B_2) (A_1 - A_2) shrinks as they come near.

    Args:
        updates: One per adapter, of one shape. Smaller ranks are padded with zeros.
        weights: One per update, used as they are.
        reference: Position of the adapter that the others are brought to.
        iterations: Upper limit of the L-BFGS steps per adapter.

    Returns:
        An update of the largest rank given.

    Raises:
        ConfigError: The inputs do not fit together, or there is no adapter at
            ``reference``.

    Source: arXiv:2410.22911 (LoRA* there). Differs: the distance of ``align_factors``.
    """
    inputs = check_inputs("align", updates, weights)
    if not 0 <= reference < len(inputs.updates):
        raise ConfigError(
            f"align: reference must be in [0, {len(inputs.updates) - 1}], "
            f"got {reference!r}."
        )
    padded = same_rank(inputs.updates)
    near = [
        update
        if place == reference
        else align_factors(update, padded[reference], iterations=iterations)
        for place, update in enumerate(padded)
    ]
    return as_dtype(fuse(near, inputs.weights), inputs.dtype)


def align_factors(
    update: LowRank, reference: LowRank, *, iterations: int = 200
) -> LowRank:
    """Rewrite an update in other factors, near those of a reference.

    Minimises ||B_1 - B P||^2 / ||B_1||^2 + ||A_1 - P^-1 A||^2 / ||A_1||^2 over the
    invertible P: the terms are relative, so that a small B counts as much as a large A.
    Starts from the best of P = I, the orthogonal fit and the two least-squares fits, so
    the factors never end up further away than they were; L-BFGS goes on from there. If
    the two updates are one update in other factors, the fit is exact.

    Args:
        update: A of shape (r, d_in), B of shape (d_out, r).
        reference: Factors of the same shapes.
        iterations: Upper limit of the L-BFGS steps; they see r x r matrices only.

    Returns:
        (P^-1 A, B P), in fp32 (fp64 for fp64); equal to ``update`` when multiplied out.

    Raises:
        ConfigError: The shapes or ranks differ.
    """
    if update.shape != reference.shape or update.rank != reference.rank:
        raise ConfigError(
            "align_factors: both updates must have one shape and rank, got "
            f"{update.shape}, rank {update.rank} and {reference.shape}, rank "
            f"{reference.rank}."
        )
    old, new = in_working_precision(update), in_working_precision(reference)
    P = _Fit(old, new).solve(iterations)
    gauge = old.B.new_tensor(P)
    inverse = old.A.new_tensor(np.linalg.inv(P))
    return LowRank(A=inverse @ old.A, B=old.B @ gauge)


class _Fit:
    """The distance as a function of P; only r x r matrices, in fp64 on the CPU."""

    def __init__(self, old: LowRank, new: LowRank) -> None:
        A, B = old.A.double(), old.B.double()
        A_1, B_1 = new.A.double(), new.B.double()
        # A reference factor of zero gives no direction: its term is left out.
        share_B = 1 / float(B_1.square().sum()) if B_1.any() else 0.0
        share_A = 1 / float(A_1.square().sum()) if A_1.any() else 0.0
        self.rank = old.rank
        self.BB = _matrix(share_B * B.T @ B)
        self.BB_1 = _matrix(share_B * B.T @ B_1)
        self.AA = _matrix(share_A * A @ A.T)
        self.AA_1 = _matrix(share_A * A @ A_1.T)

    def distance(self, P: Matrix) -> tuple[float, Matrix]:
        """Return the distance without its constants, and its gradient."""
        try:
            inverse = np.linalg.inv(P)
        except np.linalg.LinAlgError:
            return float("inf"), np.zeros_like(P)
        value = np.sum(P * (self.BB @ P)) - 2 * np.sum(P * self.BB_1)
        value += np.sum(inverse * (inverse @ self.AA)) - 2 * np.sum(
            inverse * self.AA_1.T
        )
        slope_B = 2 * (self.BB @ P - self.BB_1)
        slope_A = -2 * inverse.T @ (inverse @ self.AA - self.AA_1.T) @ inverse.T
        return float(value), slope_B + slope_A

    def starts(self) -> list[Matrix]:
        """Return the candidates to start from."""
        U, _, Vh = np.linalg.svd(self.BB_1 + self.AA_1)
        fits = [np.eye(self.rank), U @ Vh]
        fits.append(np.linalg.lstsq(self.BB, self.BB_1, rcond=None)[0])
        inverse = np.linalg.lstsq(self.AA, self.AA_1, rcond=None)[0].T
        if np.linalg.matrix_rank(inverse) == self.rank:
            fits.append(np.linalg.inv(inverse))
        return [P for P in fits if np.linalg.matrix_rank(P) == self.rank]

    def solve(self, iterations: int) -> Matrix:
        # SciPy ships no types.
        from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs]
            minimize,  # pyright: ignore[reportUnknownVariableType]
        )

        start = min(self.starts(), key=lambda P: self.distance(P)[0])
        shape = start.shape

        def flat(p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, slope = self.distance(p.reshape(shape))
            return value, slope.ravel()

        options: dict[str, Any] = {"maxiter": iterations, "ftol": 1e-15, "gtol": 1e-12}
        run = cast("Any", minimize)
        end = run(flat, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        found: Matrix = end.x.reshape(shape)
        better = self.distance(found)[0] < self.distance(start)[0]
        return found if better and np.isfinite(found).all() else start


def _matrix(tensor: Any) -> Matrix:
    return tensor.detach().cpu().numpy()
