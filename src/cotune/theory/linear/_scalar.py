"""E3: recovery from scalar responses y = <X, B S_i A>."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .._algebra import (
    least_squares,
    left_directions,
    orthonormal_columns,
    orthonormal_rows,
    right_directions,
    solve_from,
)
from .._finding import Check, Finding, Picture, Row
from ._problem import Model, draw_problems
from ._score import median, relative_error, success_rate


def scalar_responses(
    *,
    seeds: int = 6,
    users: tuple[int, ...] = (1, 2, 4, 8, 16),
    samples: int = 20,
    size: int = 12,
    rank: int = 2,
    iterations: int = 200,
) -> Finding:
    """Recover every user's matrix from scalar responses, alone and together.

    Args:
        seeds: Number of problems per number of users.
        users: Numbers of users; the first must fail, the last must succeed.
        samples: n, responses per user; fewer than a rank-r matrix has parameters.
        size: d_in = d_out.
        rank: r.
        iterations: Most rounds of alternating minimisation.

    Returns:
        Passed if the first number of users never succeeds, the last in 5 of 6.

    Source: arXiv:2602.07218; check E3 of this project.
    """
    rows: list[Row] = []
    for number in users:
        X, y, truth = _draw(number, samples, seeds=seeds, size=size, rank=rank)
        fitted = _alternate(X, y, rank=rank, iterations=iterations)
        error = relative_error(fitted.update(), truth)
        row = {"users": number, "success": success_rate(error), "error": median(error)}
        rows.append(row)
    first, last = float(rows[0]["success"]), float(rows[-1]["success"])
    return Finding(
        name="linear-scalar",
        claim="Sixteen users recover from scalar responses what one user never does.",
        checks=(
            Check(f"success rate, k={users[0]}", first, high=0),
            Check(f"success rate, k={users[-1]}", last, low=5 / 6),
        ),
        rows=tuple(rows),
        settings={"seeds": seeds, "samples": samples, "size": size, "rank": rank},
        picture=Picture(x="users", y="success", log_x=True),
    )


def _draw(
    users: int, samples: int, *, seeds: int, size: int, rank: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw X (seeds, users, n, d, d), y (seeds, users, n) and the true matrices."""
    # One column of X per entry of the design: n draws of a d x d matrix.
    problem = draw_problems(
        users=users,
        samples=samples * size,
        seeds=seeds,
        d_out=size,
        d_in=size,
        rank=rank,
    )
    X = problem.X.mT.reshape(seeds, users, samples, size, size)
    y = torch.einsum("sunij,suij->sun", X, problem.truth)
    return X, y, problem.truth


def _alternate(
    X: Float[Tensor, "seeds users n d_out d_in"],
    y: Float[Tensor, "seeds users n"],
    *,
    rank: int,
    iterations: int,
) -> Model:
    moments = torch.einsum("sunij,sun->suij", X, y) / X.shape[2]
    start = Model(
        B=left_directions(moments.movedim(1, 2).flatten(2), rank),
        S=moments.new_zeros(*moments.shape[:2], rank, rank),
        A=right_directions(moments.flatten(1, 2), rank),
    )
    model = _fit_cores(X, y, start)
    for _ in range(iterations):
        design = torch.einsum("suab,sia,sunij->sunbj", model.S, model.B, X)
        model = replace(model, A=orthonormal_rows(_solve(design, y, model.A)))
        model = _fit_cores(X, y, model)
        design = torch.einsum("suab,sbj,sunij->sunia", model.S, model.A, X)
        model = replace(model, B=orthonormal_columns(_solve(design, y, model.B)))
        model = _fit_cores(X, y, model)
        gap = torch.einsum("sunij,suij->sun", X, model.update()) - y
        residual = (gap.square().sum((1, 2)) / y.square().sum((1, 2))).sqrt()
        if float(residual.amax()) < 1e-13:
            break
    return model


def _fit_cores(X: Tensor, y: Tensor, model: Model) -> Model:
    design = torch.einsum("sia,sunij,sbj->sunab", model.B, X, model.A)
    core = least_squares(design.flatten(3), y[..., None])
    return replace(model, S=core.reshape(model.S.shape))


def _solve(
    design: Float[Tensor, "seeds users n p q"],
    y: Float[Tensor, "seeds users n"],
    now: Float[Tensor, "seeds p q"],
) -> Float[Tensor, "seeds p q"]:
    """Solve <design, factor> = y in least squares over all users, from ``now``."""
    flat, right = design.flatten(1, 2).flatten(2), y.flatten(1)[..., None]
    solved = solve_from(flat.mT @ flat, flat.mT @ right, now.flatten(1)[..., None])
    return solved.reshape(now.shape)
