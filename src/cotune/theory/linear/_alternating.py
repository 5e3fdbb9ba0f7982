"""Alternating minimisation over the personal cores and the shared factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from ..._errors import ConfigError, unknown_name
from .._algebra import (
    add_diagonal,
    left_directions,
    orthonormal_columns,
    orthonormal_rows,
    right_directions,
    solve,
    solve_from,
)
from ._problem import Model, Problem, draw_orthonormal

STARTS = ("spectral", "random")


def start_model(problem: Problem, start: str = "spectral") -> Model:
    """Choose the first factors, and fit every user's core to them.

    Args:
        problem: The data of all users.
        start: ``spectral``: B from the left singular vectors of [Y_1 ... Y_k], A from
            the right ones of the stack of Y_i X_i^T / n. ``random``: both orthonormal,
            drawn from the number of the problem.

    Returns:
        A model with orthonormal B and A.

    Raises:
        ConfigError: ``start`` is unknown.
    """
    if start not in STARTS:
        raise ConfigError(unknown_name("start", start, STARTS))
    B, A = _spectral(problem) if start == "spectral" else _random(problem)
    return fit_cores(problem, Model(B=B, S=problem.model.S, A=A))


def alternations(
    problem: Problem, model: Model, *, ridge: float = 0.0
) -> Iterator[Model]:
    """Yield the model after each round: A given B, then B given A, cores after each.

    Args:
        problem: The data of all users. Users send only sums over their own samples.
        model: Where to start, with orthonormal B and A and fitted cores.
        ridge: Added to the diagonal of A X_i X_i^T A^T in the step of the cores.

    Yields:
        The next model, for ever.

    Source: arXiv:2602.07218, alternating minimisation. Differs: the solves for A and B
        are steps from the present factor with a tiny damping, which has the same
        solution and leaves alone what the data do not determine.
    """
    while True:
        model = replace(model, A=orthonormal_rows(_solve_A(problem, model)))
        model = fit_cores(problem, model, ridge=ridge)
        model = replace(model, B=orthonormal_columns(_solve_B(problem, model)))
        model = fit_cores(problem, model, ridge=ridge)
        yield model


def alternate(
    problem: Problem,
    *,
    start: str = "spectral",
    iterations: int = 200,
    tolerance: float = 1e-13,
    ridge: float = 0.0,
) -> Model:
    """Run alternating minimisation until every problem of the batch is solved.

    Args:
        problem: The data of all users.
        start: As in :func:`start_model`.
        iterations: Most rounds.
        tolerance: Stop when the relative residual of all problems is below it.
        ridge: As in :func:`alternations`.

    Returns:
        The last model.
    """
    model = start_model(problem, start)
    for step in islice(alternations(problem, model, ridge=ridge), iterations):
        model = step
        if relative_residual(problem, model).max() < tolerance:
            break
    return model


def relative_residual(problem: Problem, model: Model) -> Float[Tensor, " seeds"]:
    """Return ||Y - B S A X||_F / ||Y||_F over all users, one number per seed."""
    gap = problem.Y - model.update() @ problem.X
    norm = problem.Y.square().sum(dim=(1, 2, 3))
    return (gap.square().sum(dim=(1, 2, 3)) / norm).sqrt()


def fit_cores(problem: Problem, model: Model, *, ridge: float = 0.0) -> Model:
    """Fit S_i = B^+ Y_i (A X_i)^+ for every user, with the shared factors fixed.

    Args:
        problem: The data of all users.
        model: B with orthonormal columns, A; its cores are not read.
        ridge: Added to the diagonal of A X_i X_i^T A^T.

    Returns:
        The model with new cores.
    """
    Z = model.A[:, None] @ problem.X
    gram = add_diagonal(Z @ Z.mT, ridge)
    cross = model.B.mT[:, None] @ problem.Y @ Z.mT
    return replace(model, S=solve(gram, cross.mT).mT)


def _solve_A(problem: Problem, model: Model) -> Float[Tensor, "seeds r d_in"]:
    """Solve [sum X X^T kron (S^T B^T B S)] vec(A) = vec(sum S^T B^T Y X^T)."""
    seeds, rank, d_in = model.A.shape
    BS = model.B[:, None] @ model.S
    gram = torch.einsum("uvde,uvab->udaeb", problem.X @ problem.X.mT, BS.mT @ BS)
    right = (BS.mT @ problem.Y @ problem.X.mT).sum(1)
    size = rank * d_in
    vec = solve_from(
        gram.reshape(seeds, size, size),
        right.mT.reshape(seeds, size, 1),
        model.A.mT.reshape(seeds, size, 1),
    )
    return vec.reshape(seeds, d_in, rank).mT


def _solve_B(problem: Problem, model: Model) -> Float[Tensor, "seeds d_out r"]:
    Z = model.S @ model.A[:, None] @ problem.X
    gram, right = (Z @ Z.mT).sum(1), (problem.Y @ Z.mT).sum(1)
    return solve_from(gram, right.mT, model.B.mT).mT


def _spectral(problem: Problem) -> tuple[Tensor, Tensor]:
    seeds, users, d_out, samples = problem.Y.shape
    wide = problem.Y.movedim(1, 2).reshape(seeds, d_out, users * samples)
    moments = problem.Y @ problem.X.mT / samples
    tall = moments.reshape(seeds, users * d_out, -1)
    return left_directions(wide, problem.rank), right_directions(tall, problem.rank)


def _random(problem: Problem) -> tuple[Tensor, Tensor]:
    seeds, d_out, rank = problem.model.B.shape
    d_in = problem.model.A.shape[-1]
    # Offset, so that the start is not the truth that was drawn from the same number.
    generators = [torch.Generator().manual_seed(10_000 + seed) for seed in range(seeds)]
    B = torch.stack([draw_orthonormal(d_out, rank, g) for g in generators])
    A = torch.stack([draw_orthonormal(d_in, rank, g).T for g in generators])
    return B, A
