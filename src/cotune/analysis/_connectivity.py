"""Linear mode connectivity: how good adapters are on the line between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, ClassVar

from .._adapter import Adapter
from .._errors import ConfigError
from ._average import average_factors
from ._cache import EvaluationCache, Progress, memory_cache
from ._result import Result, Row

Score = Callable[[Adapter], float]
GRID = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class LinePoint:
    """One average of adapters.

    Args:
        curve: ``one - other`` for a line, ``ratio`` for the fixed ratios.
        weights: Weight per adapter, in the order of the result's names.
        score: How good it is; higher is better.
        loss: Its loss; None if it was not asked for.
    """

    curve: str
    weights: tuple[float, ...]
    score: float
    loss: float | None = None


@dataclass(frozen=True)
class Line:
    """The line between two adapters, in short.

    Args:
        one: Name of the adapter at l = 0.
        other: Name of the adapter at l = 1.
        ends: Mean score of the two.
        half: Score at l = 0.5.
        barrier: Largest drop below the straight line between the ends' scores, >= 0.
        loss_barrier: Largest rise of the loss above its straight line, >= 0; None
            without losses. It can be 0 although the middle is bad, because over-fitted
            ends have a huge loss.
    """

    one: str
    other: str
    ends: float
    half: float
    barrier: float
    loss_barrier: float | None


@dataclass(frozen=True)
class Connectivity(Result):
    """Scores between adapters of one task, trained from different seeds.

    Args:
        names: Names of the adapters.
        lines: One per pair.
        ratios: Ratio, e.g. ``1:2`` -> mean score over the pairs, in both directions
            (``1:1:1``: over the triples).
        points: All averages that were scored.
    """

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    ratios: Mapping[str, float]
    points: tuple[LinePoint, ...]
    name: ClassVar[str] = "connectivity"

    def summary(self) -> dict[str, Any]:
        """Return score at l = 0.5 and barrier per pair, and the ratios."""
        return {
            "names": self.names,
            "lines": [asdict(line) for line in self.lines],
            "ratios": dict(self.ratios),
        }

    def rows(self) -> list[Row]:
        """Return one row per average that was scored, with a column per weight."""
        rows: list[Row] = []
        for point in self.points:
            row: dict[str, float | int | str] = {"curve": point.curve}
            weights = zip(self.names, point.weights, strict=True)
            row |= {f"weight {name}": weight for name, weight in weights}
            row["score"] = point.score
            if point.loss is not None:
                row["loss"] = point.loss
            rows.append(row)
        return rows

    def draw(self, axes: Any) -> None:
        """Draw one curve per pair."""
        for line in self.lines:
            curve, place = f"{line.one} - {line.other}", self.names.index(line.other)
            mine = [point for point in self.points if point.curve == curve]
            x = [point.weights[place] for point in mine]
            axes.plot(x, [point.score for point in mine], marker="o", label=curve)
        axes.set_xlabel("share of the second adapter")
        axes.set_ylabel("score")
        axes.set_title("between two adapters")
        axes.legend(fontsize="small")


def connectivity(
    adapters: Mapping[str, Adapter],
    score: Score,
    *,
    loss: Score | None = None,
    grid: Sequence[float] = GRID,
    cache: EvaluationCache | None = None,
    progress: Progress | None = None,
) -> Connectivity:
    """Score the averages A(l) = (1 - l) A_1 + l A_2, B alike, of every pair.

    Args:
        adapters: Name -> adapter; two at least, of one task and recipe, trained from
            different seeds. With three also 1:1:1 is scored.
        score: Scores an adapter; higher is better (accuracy).
        loss: Its loss, for the loss barrier beside; called with the same object right
            after ``score``.
        grid: Values of l in [0, 1]; 0, 0.5 and 1 are always scored.
        cache: Finished evaluations.
        progress: Told after every evaluation.

    Returns:
        Curves, score at l = 0.5, barriers, and the ratios 1:2, 1:1 and 1:1:1.

    Raises:
        ConfigError: Fewer than two adapters, adapters that do not fit together, or a
            grid outside [0, 1].

    Source: arXiv:2410.22911 (CopRA) and arXiv:2506.05713 (CoTo), linear mode
    connectivity. Differs: both report accuracy; the barrier is that of
    arXiv:1912.05671, eq. 2, for accuracy.
    """
    if len(adapters) < 2 or not all(0 <= value <= 1 for value in grid):
        raise ConfigError(
            "connectivity: two adapters and a grid in [0, 1] are needed, got "
            f"{len(adapters)} and {list(grid)}."
        )
    names, steps = tuple(adapters), sorted({*grid, 0.0, 0.5, 1.0})
    plan = _plan(len(names), steps)
    walk = _Walk(adapters, score, loss, memory_cache(cache))
    total = len({weights for _, weights in plan})
    for done, weights in enumerate(dict.fromkeys(w for _, w in plan), start=1):
        walk.point("", weights)
        if progress is not None:
            progress(done, total)
    points = tuple(walk.point(_title(names, pair), weights) for pair, weights in plan)
    lines = tuple(_line(names, pair, points) for pair in _pairs(len(names)))
    return Connectivity(names, lines, _ratios(len(names), walk), points)


class _Walk:
    """Scores of averages, each computed once."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        score: Score,
        loss: Score | None,
        cache: EvaluationCache,
    ) -> None:
        self.adapters, self.score, self.loss = adapters, score, loss
        self.cache = cache

    def point(self, curve: str, weights: tuple[float, ...]) -> LinePoint:
        """Return one average with its numbers."""
        key = " ".join(
            f"{weight:.12g}*{name}"
            for name, weight in zip(self.adapters, weights, strict=True)
            if weight
        )

        @lru_cache(maxsize=1)
        def average() -> Adapter:
            return average_factors(list(self.adapters.values()), weights)

        number, loss, measure = self.cache.get_or_compute, None, self.loss
        score = number(f"score {key}", lambda: self.score(average()))
        if measure is not None:
            loss = number(f"loss {key}", lambda: measure(average()))
        return LinePoint(curve, weights, score, loss)


Pair = tuple[int, int]


def _pairs(count: int) -> list[Pair]:
    return list(combinations(range(count), 2))


def _weights(count: int, shares: Mapping[int, float]) -> tuple[float, ...]:
    total = sum(shares.values())
    return tuple(shares.get(place, 0.0) / total for place in range(count))


def _plan(
    count: int, steps: Sequence[float]
) -> list[tuple[Pair | None, tuple[float, ...]]]:
    """List what is to be scored: the lines first, then the other ratios."""
    plan: list[tuple[Pair | None, tuple[float, ...]]] = [
        (pair, _weights(count, {pair[0]: 1 - step, pair[1]: step}))
        for pair in _pairs(count)
        for step in steps
    ]
    for weights in _ratio_weights(count).values():
        plan += [(None, each) for each in weights]
    return plan


def _ratio_weights(count: int) -> dict[str, list[tuple[float, ...]]]:
    ratios = {
        "1:2": [
            _weights(count, {one: 1.0, other: 2.0})
            for pair in _pairs(count)
            for one, other in (pair, pair[::-1])
        ],
        "1:1": [_weights(count, {i: 1.0, j: 1.0}) for i, j in _pairs(count)],
    }
    triples = combinations(range(count), 3)
    three = [_weights(count, dict.fromkeys(triple, 1.0)) for triple in triples]
    return ratios | ({"1:1:1": three} if three else {})


def _ratios(count: int, walk: _Walk) -> dict[str, float]:
    return {
        ratio: sum(walk.point("", each).score for each in weights) / len(weights)
        for ratio, weights in _ratio_weights(count).items()
    }


def _title(names: Sequence[str], pair: Pair | None) -> str:
    return "ratio" if pair is None else f"{names[pair[0]]} - {names[pair[1]]}"


def _line(names: Sequence[str], pair: Pair, points: Sequence[LinePoint]) -> Line:
    mine = [point for point in points if point.curve == _title(names, pair)]
    shares = [point.weights[pair[1]] for point in mine]
    scores = [point.score for point in mine]
    losses = [-point.loss for point in mine if point.loss is not None]
    return Line(
        one=names[pair[0]],
        other=names[pair[1]],
        ends=(scores[0] + scores[-1]) / 2,
        half=scores[shares.index(0.5)],
        barrier=_drop(shares, scores),
        loss_barrier=_drop(shares, losses) if losses else None,
    )


def _drop(shares: Sequence[float], heights: Sequence[float]) -> float:
    """Return how far a curve falls below the straight line between its ends."""
    first, last = heights[0], heights[-1]
    return max(
        (1 - share) * first + share * last - height
        for share, height in zip(shares, heights, strict=True)
    )
