"""E4c: what users do not share is lost, and nothing more."""

from __future__ import annotations

from .._finding import Check, Finding, Picture, Row
from ._alternating import alternate
from ._problem import draw_problems
from ._score import median, relative_error


def unshared_part(
    *,
    seeds: int = 10,
    users: int = 12,
    samples: int = 12,
    sizes: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 3e-1),
) -> Finding:
    """Add to every user a rank-1 part of its own, and measure the error.

    Args:
        seeds: Number of problems per size.
        users: k.
        samples: n per user.
        sizes: eps, the norm of the unshared part over that of B* S*_i A*.

    Returns:
        Passed if the median error over eps lies in [.9, 1.3] for every eps. The error
        is measured against the whole truth, the unshared part included.

    Source: arXiv:2602.07218; check E4c of this project.
    """
    rows: list[Row] = []
    for eps in sizes:
        problem = draw_problems(users=users, samples=samples, seeds=seeds, unshared=eps)
        error = median(relative_error(alternate(problem).update(), problem.truth))
        rows.append({"eps": eps, "error": error, "ratio": error / eps})
    return Finding(
        name="linear-unshared",
        claim="The error is the size of the unshared part.",
        checks=tuple(
            Check(f"error / eps, eps={row['eps']}", float(row["ratio"]), 0.9, 1.3)
            for row in rows
        ),
        rows=tuple(rows),
        settings={"seeds": seeds, "users": users, "samples": samples},
        picture=Picture(x="eps", y="error", log_x=True, log_y=True),
    )
