"""E6: plain gradient training from B = 0, S = I finds the same truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._descent import descend
from .._finding import Check, Finding, Picture, Row
from ._problem import Model, Problem, draw_normal, draw_problems
from ._score import SUCCESS, median, relative_error, success_rate


def gradient_form(
    *,
    seeds: int = 10,
    taus: tuple[float, ...] = (0.2, 1.0),
    cells: tuple[tuple[int, int], ...] = ((16, 12), (8, 12), (16, 8)),
    steps: int = 3000,
    learning_rate: float = 1e-2,
) -> Finding:
    """Train all factors jointly with Adam, from a good start and from the dead one.

    Args:
        seeds: Number of problems per cell.
        taus: Unlikeness of the users, S_i = I + tau G_i / sqrt(r).
        cells: Pairs (users, samples per user).
        steps: Adam steps; the dead start gets a tenth, as it never moves.
        learning_rate: First learning rate; it falls to 0 on a cosine.

    Returns:
        Passed if the median error is <= 1e-6 in every cell, and the start
        B = 0, S = 0 stays at a relative error of 1.

    Source: arXiv:2602.07218; check E6 of this project. Steps, rate and the draw of A
        (normal, variance 1 / d_in) are ours.
    """
    rows: list[Row] = []
    checks: list[Check] = []
    for tau in taus:
        for users, samples in cells:
            problem = draw_problems(
                users=users, samples=samples, seeds=seeds, cores="simil", tau=tau
            )
            fitted = train_jointly(problem, steps=steps, learning_rate=learning_rate)
            error = relative_error(fitted.update(), problem.truth)
            cell = f"({users},{samples})"
            rate = success_rate(error)
            rows.append(
                {"cell": cell, "tau": tau, "error": median(error), "success": rate}
            )
            what = f"median error, tau={tau}, {cell}"
            checks.append(Check(what, median(error), high=SUCCESS))
    return Finding(
        name="linear-gradient",
        claim="Adam from B = 0, S = I recovers the truth; from S = 0 it never moves.",
        checks=(*checks, _check_dead_start(seeds, steps // 10, learning_rate)),
        rows=tuple(rows),
        settings={"seeds": seeds, "steps": steps, "learning_rate": learning_rate},
        picture=Picture(x="cell", y="error", by="tau", log_y=True),
    )


def train_jointly(
    problem: Problem, *, steps: int, learning_rate: float, core: float = 1.0
) -> Model:
    """Minimise the squared residual over A, B and all cores with Adam.

    Args:
        problem: The data of all users.
        steps: Adam steps on all data.
        learning_rate: First learning rate; it falls to 0 on a cosine.
        core: Every core starts at this number times I.

    Returns:
        The trained model. B starts at 0, A at normal draws of variance 1 / d_in.
    """
    start = _start(problem, core)

    def loss(_: int, factors: Sequence[Tensor]) -> Tensor:
        A, B, S = factors
        gap = B[:, None] @ (S @ (A[:, None] @ problem.X)) - problem.Y
        return gap.square().mean(dim=(1, 2, 3)).sum()

    A, B, S = descend(
        (start.A, start.B, start.S),
        loss,
        steps=steps,
        learning_rate=learning_rate,
        cosine=True,
    )
    return Model(B=B, S=S, A=A)


def _start(problem: Problem, core: float) -> Model:
    truth = problem.model
    seeds, rank, d_in = truth.A.shape
    eye = torch.eye(rank, dtype=torch.float64)
    return Model(
        B=torch.zeros_like(truth.B),
        S=(core * eye).expand(truth.S.shape).clone(),
        A=torch.stack([_draw_A(rank, d_in, seed) for seed in range(seeds)]),
    )


def _draw_A(rank: int, d_in: int, seed: int) -> Tensor:
    # Offset, so that the start is not drawn from the numbers of the truth.
    generator = torch.Generator().manual_seed(10_000 + seed)
    return draw_normal(generator, rank, d_in) / d_in**0.5


def _check_dead_start(seeds: int, steps: int, learning_rate: float) -> Check:
    problem = draw_problems(users=16, samples=12, seeds=seeds, cores="simil", tau=1.0)
    dead = train_jointly(problem, steps=steps, learning_rate=learning_rate, core=0.0)
    error = relative_error(dead.update(), problem.truth)
    worst = float((error - 1).abs().max())
    return Check("dead start B = 0, S = 0: |error - 1|", worst, high=1e-12)
