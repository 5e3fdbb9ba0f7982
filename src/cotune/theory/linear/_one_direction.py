"""E4b: users who each use one direction can still find all of them together."""

from __future__ import annotations

from .._finding import Check, Finding, Picture, Row
from ._alternating import alternate
from ._problem import draw_problems
from ._score import median, relative_error, success_rate


def one_direction(
    *, seeds: int = 10, users: tuple[int, ...] = (3, 6, 12, 24), samples: int = 12
) -> Finding:
    """Recover B* and A* when user i only sees the direction c = i mod r.

    Args:
        seeds: Number of problems per number of users.
        users: Numbers of users; the first must fail, the last must succeed.
        samples: n per user.

    Returns:
        Passed if the first number of users never succeeds, the last in 9 of 10.

    Source: arXiv:2602.07218; check E4b of this project, where "succeeds" is read as
        in E1.
    """
    rows: list[Row] = []
    for number in users:
        problem = draw_problems(
            users=number, samples=samples, seeds=seeds, cores="one-direction"
        )
        error = relative_error(alternate(problem).update(), problem.truth)
        row = {"users": number, "success": success_rate(error), "error": median(error)}
        rows.append(row)
    first, last = float(rows[0]["success"]), float(rows[-1]["success"])
    return Finding(
        name="linear-one-direction",
        claim="One user per direction is too few; eight per direction are enough.",
        checks=(
            Check(f"success rate, k={users[0]}", first, high=0),
            Check(f"success rate, k={users[-1]}", last, low=0.9),
        ),
        rows=tuple(rows),
        settings={"seeds": seeds, "samples": samples},
        picture=Picture(x="users", y="success", log_x=True),
    )
