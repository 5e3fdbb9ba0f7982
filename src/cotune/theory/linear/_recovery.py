"""E1: enough users and samples recover the truth, too few never do."""

from __future__ import annotations

from .._finding import Check, Finding, Picture, Row
from ._alternating import alternate
from ._baselines import fit_local, fit_pooled
from ._problem import draw_problems
from ._score import median, relative_error, success_rate

Cells = tuple[tuple[int, int], ...]


def recovery(
    *,
    seeds: int = 10,
    enough: Cells = ((12, 12), (16, 12)),
    too_few: Cells = ((2, 12), (16, 6)),
    size: int = 24,
    rank: int = 3,
) -> Finding:
    """Recover B* S*_i A* by alternating minimisation from fewer samples than inputs.

    Args:
        seeds: Number of problems per cell.
        enough: Cells (users, samples per user) where recovery must succeed.
        too_few: Cells where it must fail.
        size: d_in = d_out.
        rank: r.

    Returns:
        Passed if at least 9 of 10 problems succeed in every cell of ``enough``, where
        the median error of a user alone is >= .6 and that of one solution for all is
        >= .9, and none succeeds in ``too_few``.

    Source: arXiv:2602.07218; check E1 of this project.
    """
    rows: list[Row] = []
    checks: list[Check] = []
    for users, samples in (*enough, *too_few):
        row = _measure(users, samples, seeds=seeds, size=size, rank=rank)
        rows.append(row)
        cell = f"k={users}, n={samples}"
        if (users, samples) not in enough:
            checks.append(Check(f"success rate, {cell}", float(row["success"]), high=0))
            continue
        checks += [
            Check(f"success rate, {cell}", float(row["success"]), low=0.9),
            Check(f"median error alone, {cell}", float(row["local"]), low=0.6),
            Check(f"median error pooled, {cell}", float(row["pooled"]), low=0.9),
        ]
    return Finding(
        name="linear-recovery",
        claim="Users together recover what none of them has the samples for.",
        checks=tuple(checks),
        rows=tuple(rows),
        settings={"seeds": seeds, "size": size, "rank": rank, "cores": "gauss"},
        picture=Picture(x="cell", y="success"),
    )


def _measure(users: int, samples: int, *, seeds: int, size: int, rank: int) -> Row:
    problem = draw_problems(
        users=users, samples=samples, seeds=seeds, d_out=size, d_in=size, rank=rank
    )
    error = relative_error(alternate(problem).update(), problem.truth)
    return {
        "cell": f"({users},{samples})",
        "users": users,
        "samples": samples,
        "success": success_rate(error),
        "error": median(error),
        "local": median(relative_error(fit_local(problem), problem.truth)),
        "pooled": median(relative_error(fit_pooled(problem), problem.truth)),
    }
