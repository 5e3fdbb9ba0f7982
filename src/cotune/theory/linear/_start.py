"""E2: the spectral start finds the truth more often than a random one."""

from __future__ import annotations

from .._finding import Check, Finding, Picture, Row
from ._alternating import STARTS, alternate
from ._problem import draw_problems
from ._score import count_successes, median, relative_error


def compare_starts(
    *,
    seeds: int = 10,
    cells: tuple[tuple[int, int], ...] = ((8, 12), (16, 8), (12, 8)),
) -> Finding:
    """Count successes of alternating minimisation from both starts, in hard cells.

    Args:
        seeds: Number of problems per cell; the same ones for both starts.
        cells: Pairs (users, samples per user).

    Returns:
        Passed if the spectral start succeeds more often in total.

    Source: arXiv:2602.07218; check E2 of this project.
    """
    rows: list[Row] = []
    total = dict.fromkeys(STARTS, 0)
    for users, samples in cells:
        problem = draw_problems(users=users, samples=samples, seeds=seeds)
        for start in STARTS:
            fitted = alternate(problem, start=start)
            error = relative_error(fitted.update(), problem.truth)
            total[start] += count_successes(error)
            rows.append(
                {
                    "cell": f"({users},{samples})",
                    "start": start,
                    "successes": count_successes(error),
                    "error": median(error),
                }
            )
    lead = total["spectral"] - total["random"]
    what = f"spectral {total['spectral']} minus random {total['random']} successes"
    return Finding(
        name="linear-start",
        claim="The spectral start succeeds more often than a random one.",
        checks=(Check(what, lead, low=0, strict=True),),
        rows=tuple(rows),
        settings={"seeds": seeds, "cores": "gauss"},
        picture=Picture(x="cell", y="successes", by="start"),
    )
