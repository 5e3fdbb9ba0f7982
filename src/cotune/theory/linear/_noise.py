"""E5: with many users the error falls to what the cores alone would cost."""

from __future__ import annotations

import math

from .._finding import Check, Finding, Picture, Row
from ._alternating import alternate
from ._problem import draw_problems
from ._score import median, relative_error


def noise_floor(
    *,
    seeds: int = 10,
    users: tuple[int, ...] = (16, 32, 64),
    samples: int = 12,
    noise: float = 0.05,
    rank: int = 3,
) -> Finding:
    """Compare the error under noise with the floor sigma / sqrt(n - r - 1).

    Args:
        seeds: Number of problems per number of users.
        users: Numbers of users; the first and the last are judged.
        samples: n per user.
        noise: sigma, standard deviation of the noise on every response.
        rank: r.

    Returns:
        Passed if the median error with the most users is within 15 % of the floor,
        and with the fewest within 35 % of .022 (a figure for 16 users, n = 12 and
        sigma = .05, scaled with the floor for other n, r and sigma).

    Source: arXiv:2602.07218; check E5 of this project. The floor is the error of
        least squares for the r x r core with B* and A* known.
    """
    floor = noise / math.sqrt(samples - rank - 1)
    rows: list[Row] = []
    for number in users:
        problem = draw_problems(
            users=number, samples=samples, seeds=seeds, noise=noise, rank=rank
        )
        error = median(relative_error(alternate(problem).update(), problem.truth))
        rows.append({"users": number, "error": error, "floor": floor})
    few = 0.022 * floor / (0.05 / math.sqrt(8))
    first, last = float(rows[0]["error"]), float(rows[-1]["error"])
    return Finding(
        name="linear-noise",
        claim="With many users only the noise in a user's own core remains.",
        checks=(
            Check(f"error, k={users[-1]}", last, 0.85 * floor, 1.15 * floor),
            Check(f"error, k={users[0]}", first, 0.65 * few, 1.35 * few),
        ),
        rows=tuple(rows),
        settings={"seeds": seeds, "samples": samples, "noise": noise, "rank": rank},
        picture=Picture(x="users", y="error", log_x=True),
    )
