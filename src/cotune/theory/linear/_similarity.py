"""E4a: recovery is easier the more alike the users are, and pooling is not enough."""

from __future__ import annotations

from itertools import pairwise

from .._finding import Check, Finding, Picture, Row
from ._alternating import alternate
from ._baselines import fit_pooled
from ._problem import draw_problems
from ._score import SUCCESS, median, relative_error, success_rate


def similarity(
    *,
    seeds: int = 10,
    users: int = 12,
    samples: int = 8,
    taus: tuple[float, ...] = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0),
) -> Finding:
    """Measure success as the cores S_i = I + tau G_i / sqrt(r) move apart.

    Args:
        seeds: Number of problems per tau; the same draws for every tau.
        users: k.
        samples: n per user.
        taus: Unlikeness of the users, rising; the second one is the almost-alike case.

    Returns:
        Passed if the success rate never rises by more than .2 and falls by at least
        .3 from the first to the last tau, and if at the second one the median error
        is < 1e-6 while that of one solution for all is > .03.

    Source: arXiv:2602.07218; check E4a of this project.
    """
    rows: list[Row] = []
    for tau in taus:
        problem = draw_problems(
            users=users, samples=samples, seeds=seeds, cores="simil", tau=tau
        )
        error = relative_error(alternate(problem).update(), problem.truth)
        pooled = relative_error(fit_pooled(problem), problem.truth)
        rows.append(
            {
                "tau": tau,
                "success": success_rate(error),
                "error": median(error),
                "pooled": median(pooled),
            }
        )
    return Finding(
        name="linear-similarity",
        claim="Success falls as users differ; a shared solution fails before that.",
        checks=_judge(rows),
        rows=tuple(rows),
        settings={"seeds": seeds, "users": users, "samples": samples},
        picture=Picture(x="tau", y="success"),
    )


def _judge(rows: list[Row]) -> tuple[Check, ...]:
    rates = [float(row["success"]) for row in rows]
    rise = max(later - sooner for sooner, later in pairwise(rates))
    drop = rates[0] - rates[-1]
    # Rates are counts over seeds: .8 - .5 must equal .3.
    return (
        Check("largest rise of the success rate", round(rise, 9), high=0.2),
        Check("drop of the success rate, first to last", round(drop, 9), low=0.3),
        Check(
            f"median error at tau={rows[1]['tau']}",
            float(rows[1]["error"]),
            high=SUCCESS,
            strict=True,
        ),
        Check(
            f"median error pooled at tau={rows[1]['tau']}",
            float(rows[1]["pooled"]),
            low=0.03,
            strict=True,
        ),
    )
