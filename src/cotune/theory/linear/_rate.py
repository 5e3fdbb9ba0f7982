"""E7: near the truth the error falls by a constant factor per round."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from .._algebra import frobenius, orthonormal_rows
from .._finding import Check, Finding, Picture, Row
from ._alternating import alternations, fit_cores
from ._problem import Model, Problem, draw_normal, draw_problems
from ._score import median, relative_error

FLOOR = 1e-11
"""Relative error below which rounding, not the rate, decides."""


def local_rate(
    *,
    seeds: int = 8,
    users: tuple[int, ...] = (8, 16, 32, 64),
    samples: tuple[int, ...] = (8, 12, 16, 24),
    taus: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0),
    rounds: int = 80,
    perturbation: float = 0.1,
) -> Finding:
    """Measure the factor per round of alternating minimisation close to the truth.

    Args:
        seeds: Number of problems per cell.
        users: Rising numbers of users, at n = 12 with Gaussian cores.
        samples: Rising numbers of samples, at k = 16 with Gaussian cores.
        taus: Rising unlikeness, at k = 16, n = 12, S_i = I + tau G_i / sqrt(r).
        rounds: Rounds of alternating minimisation.
        perturbation: Norm of the noise on A* at the start, over the norm of A*.

    Returns:
        Passed if the median R^2 of a straight line through log error is >= .99 and
        the median rate < .95 in every cell, the rate falls with every step in users
        and in samples, and rises with every step in tau.

    Source: arXiv:2602.07218 (local linear convergence); check E7 of this project. The
        line is fitted from round 2 until the error is below 1e-11.
    """
    sweeps = {
        "users": [({"users": k, "samples": 12}, float(k)) for k in users],
        "samples": [({"users": 16, "samples": n}, float(n)) for n in samples],
        "tau": [({"users": 16, "samples": 12, "tau": t}, t) for t in taus],
    }
    rows: list[Row] = []
    for sweep, cells in sweeps.items():
        for step, (cell, value) in enumerate(cells):
            problem = _draw(seeds, cell)
            errors = _follow(problem, rounds=rounds, perturbation=perturbation)
            rate, r2 = _fit_line(errors)
            row = {"sweep": sweep, "step": step, "value": value}
            rows.append(row | {"rate": median(rate), "r2": median(r2)})
    return Finding(
        name="linear-rate",
        claim="Convergence is linear: faster with users and samples, slower with tau.",
        checks=_judge(rows),
        rows=tuple(rows),
        settings={"seeds": seeds, "rounds": rounds, "perturbation": perturbation},
        picture=Picture(x="step", y="rate", by="sweep"),
    )


def _draw(seeds: int, cell: dict[str, int] | dict[str, float]) -> Problem:
    return draw_problems(
        users=int(cell["users"]),
        samples=int(cell["samples"]),
        seeds=seeds,
        cores="simil" if "tau" in cell else "gauss",
        tau=float(cell.get("tau", 0.0)),
    )


def _follow(
    problem: Problem, *, rounds: int, perturbation: float
) -> Float[Tensor, "seeds rounds"]:
    model = fit_cores(problem, _perturb(problem.model, perturbation))
    path = [model, *islice(alternations(problem, model), rounds)]
    return torch.stack([relative_error(m.update(), problem.truth) for m in path], 1)


def _perturb(truth: Model, size: float) -> Model:
    seeds, rank, d_in = truth.A.shape
    generators = [torch.Generator().manual_seed(20_000 + s) for s in range(seeds)]
    gauss = torch.stack([draw_normal(g, rank, d_in) for g in generators])
    noise = size * frobenius(truth.A) / frobenius(gauss) * gauss
    return replace(truth, A=orthonormal_rows(truth.A + noise))


def _fit_line(errors: Float[Tensor, "seeds rounds"]) -> tuple[Tensor, Tensor]:
    """Fit log error over the round number; return the rate and R^2 of every seed."""
    # cumprod: only the rounds before the first one that reaches the floor.
    keep = (errors > FLOOR).cumprod(dim=1).double()
    keep[:, :2] = 0
    count = keep.sum(1, keepdim=True)
    log = errors.clamp(min=FLOOR).log()
    number = torch.arange(errors.shape[1], dtype=torch.float64).expand_as(errors)
    dy = keep * (log - (keep * log).sum(1, keepdim=True) / count)
    dx = keep * (number - (keep * number).sum(1, keepdim=True) / count)
    cross, xx, yy = (dx * dy).sum(1), dx.square().sum(1), dy.square().sum(1)
    return (cross / xx).exp(), cross.square() / (xx * yy)


def _judge(rows: list[Row]) -> tuple[Check, ...]:
    def steps(sweep: str) -> list[float]:
        rates = [float(row["rate"]) for row in rows if row["sweep"] == sweep]
        return [later - sooner for sooner, later in pairwise(rates)]

    return (
        Check("least median R^2", min(float(row["r2"]) for row in rows), low=0.99),
        Check(
            "largest median rate",
            max(float(row["rate"]) for row in rows),
            high=0.95,
            strict=True,
        ),
        Check("largest step with users", max(steps("users")), high=0, strict=True),
        Check("largest step with samples", max(steps("samples")), high=0, strict=True),
        Check("least step with tau", min(steps("tau")), low=0, strict=True),
    )
