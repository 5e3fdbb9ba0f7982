"""Dropout stability: how good a model is with part of its adapters off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from .._errors import ConfigError
from ._cache import EvaluationCache, Progress
from ._result import Result, Row
from .contribution._game import MOST_EXACT, Game, Value, bits_of, masks_from

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class StabilityPoint:
    """The mean score at one probability.

    Args:
        q: Probability that an adapter is on, in [0, 1].
        score: psi(q).
        standard_error: Of psi(q); 0 where it is exact.
        draws: Number of draws; 0 where the expectation was computed exactly.
    """

    q: float
    score: float
    standard_error: float
    draws: int


@dataclass(frozen=True)
class Stability(Result):
    """The curve psi(q).

    Args:
        groups: What was switched on and off.
        points: One per q, in the order asked for.
        evaluations: How many different sets were scored.
    """

    groups: tuple[str, ...]
    points: tuple[StabilityPoint, ...]
    evaluations: int
    name: ClassVar[str] = "stability"

    def at(self, q: float) -> float:
        """Return psi(q).

        Raises:
            ConfigError: q was not asked for.
        """
        for point in self.points:
            if point.q == q:
                return point.score
        known = ", ".join(f"{point.q:g}" for point in self.points)
        raise ConfigError(f"stability: q must be one of {known}, got {q!r}.")

    def summary(self) -> dict[str, Any]:
        """Return psi by q."""
        return {
            "groups": self.groups,
            "psi": {f"{point.q:g}": point.score for point in self.points},
            "evaluations": self.evaluations,
        }

    def rows(self) -> list[Row]:
        """Return one row per q."""
        return [asdict(point) for point in self.points]

    def draw(self, axes: Any) -> None:
        """Draw the curve with its standard errors."""
        x = [point.q for point in self.points]
        y = [point.score for point in self.points]
        errors = [point.standard_error for point in self.points]
        axes.errorbar(x, y, yerr=errors, marker="o", capsize=3)
        axes.set_xlabel("probability q that an adapter is on")
        axes.set_ylabel("mean score psi(q)")
        axes.set_title("dropout stability")


def stability(
    value: Value,
    groups: Sequence[str],
    *,
    q: Sequence[float] = SHARES,
    draws: int | None = 32,
    generator: torch.Generator | None = None,
    cache: EvaluationCache | None = None,
    progress: Progress | None = None,
) -> Stability:
    """Score a model with every group of adapters on with probability q.

    All q share their random numbers (a group is on where its number is below q), so the
    curve is smoother than its standard errors say, and sets are met again.

    Args:
        value: Scores the model with exactly these groups on; higher is better.
        groups: Names of what is switched.
        q: Probabilities in [0, 1].
        draws: Sets per q, at least 2. None computes the expectation over all 2^n sets,
            for at most 12 groups; this is also done where 2^n <= draws.
        generator: Draws the sets; None only where nothing is drawn.
        cache: Finished evaluations.
        progress: Told after every evaluation.

    Returns:
        psi(q) with standard errors.

    Raises:
        ConfigError: q outside [0, 1], too few draws, too many groups for the exact
            form, or no generator.

    Source: arXiv:2506.05713 (CoTo), dropout stability.
    """
    if not q or not all(0 <= share <= 1 for share in q):
        raise ConfigError(f"stability: q must lie in [0, 1], got {list(q)}.")
    game = Game(value, groups, cache=cache, progress=progress)
    count = len(game.players)
    if draws is None or (count <= MOST_EXACT and 2**count <= draws):
        game.expect(2**count)
        values = game.table()
        points = [StabilityPoint(share, _mean(values, share), 0.0, 0) for share in q]
        return Stability(game.players, tuple(points), game.evaluations)
    if draws < 2 or generator is None:
        raise ConfigError(
            "stability: at least 2 draws and a generator are needed, got "
            f"{draws} and {generator}. Pass generator=torch.Generator().manual_seed(0)."
        )
    numbers = torch.rand(draws, count, generator=generator, dtype=torch.float64)
    sets = [masks_from(numbers.numpy() < share) for share in q]
    game.expect(len({mask for masks in sets for mask in masks}))
    points = [
        _point(share, [game(mask) for mask in masks])
        for share, masks in zip(q, sets, strict=True)
    ]
    return Stability(game.players, tuple(points), game.evaluations)


def _mean(values: np.ndarray[Any, np.dtype[np.float64]], share: float) -> float:
    count = len(values).bit_length() - 1
    on = bits_of(count).sum(1)
    return float(np.sum(share**on * (1 - share) ** (count - on) * values))


def _point(share: float, scores: Sequence[float]) -> StabilityPoint:
    if share in (0, 1):
        return StabilityPoint(share, scores[0], 0.0, 0)
    error = float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    return StabilityPoint(share, float(np.mean(scores)), error, len(scores))
