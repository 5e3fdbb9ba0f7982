"""What each adapter, layer or block contributes to the whole."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any, ClassVar

import torch

from ..._errors import ConfigError
from .._cache import EvaluationCache, Progress
from .._result import Result, Row
from ._game import MOST_EXACT, Game, Value
from ._table import ESTIMATORS


@dataclass(frozen=True)
class Contribution(Result):
    """The contribution of every player.

    Args:
        method: Name in ``ESTIMATORS``.
        players: Names.
        phi: Contribution per player, in units of the value.
        standard_error: Of phi; 0 where it is exact.
        gain: v(all) - v(none), what the contributions add up to.
        draws: Random sets drawn; 0 where it is exact.
        evaluations: How many different sets were evaluated.
    """

    method: str
    players: tuple[str, ...]
    phi: tuple[float, ...]
    standard_error: tuple[float, ...]
    gain: float
    draws: int
    evaluations: int
    name: ClassVar[str] = "contribution"

    @property
    def shares(self) -> tuple[float, ...]:
        """Return phi over its sum; NaN if that is 0."""
        total = sum(self.phi)
        return tuple(one / total if total else float("nan") for one in self.phi)

    @property
    def variation(self) -> float:
        """Return the coefficient of variation: standard deviation over | mean |.

        Small where all players contribute alike; NaN if the mean is 0.
        """
        mean = fmean(self.phi)
        return pstdev(self.phi) / abs(mean) if mean else float("nan")

    def scores(self) -> dict[str, float]:
        """Return player -> phi, as ``by_contribution`` of the prune operators takes."""
        return dict(zip(self.players, self.phi, strict=True))

    def summary(self) -> dict[str, Any]:
        """Return method, sum, spread and cost."""
        return {
            "method": self.method,
            "sum": sum(self.phi),
            "gain": self.gain,
            "coefficient_of_variation": self.variation,
            "draws": self.draws,
            "evaluations": self.evaluations,
        }

    def rows(self) -> list[Row]:
        """Return one row per player."""
        columns = zip(
            self.players, self.phi, self.standard_error, self.shares, strict=True
        )
        return [
            {"player": player, "phi": phi, "standard_error": error, "share": share}
            for player, phi, error, share in columns
        ]

    def draw(self, axes: Any) -> None:
        """Draw one bar per player with its standard error."""
        places = range(len(self.players))
        axes.bar(places, self.phi, yerr=self.standard_error, capsize=3)
        axes.set_xticks(places, self.players, rotation=60, ha="right", fontsize="small")
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_ylabel("contribution phi")
        axes.set_title(f"contributions ({self.method})")


def contribution(
    value: Value,
    players: Sequence[str],
    *,
    method: str | None = None,
    draws: int | None = None,
    nodes: int | None = None,
    generator: torch.Generator | None = None,
    cache: EvaluationCache | None = None,
    progress: Progress | None = None,
) -> Contribution:
    """Share the gain of all players among them: Shapley values.

    phi_i = integral over p in [0, 1] of E[v(R + i) - v(R - i)], R drawn with
    probability p. A value is, say, minus the mean loss with exactly these adapters on.

    Args:
        value: The value of a set of players; higher is better. Each set is asked for
            once.
        players: Names of adapters, layers or blocks.
        method: Name in ``ESTIMATORS``. None takes ``exact`` for at most 12 players
            where its 2^n evaluations are no more than those of 64 draws (or of
            ``draws``), else ``antithetic``.
        draws: Random sets, n + 1 evaluations each; None takes the estimator's default.
        nodes: Nodes of ``quadrature``.
        generator: Needed by estimators that draw.
        cache: Finished evaluations.
        progress: Told after every evaluation.

    Returns:
        phi with standard errors, shares, and the coefficient of variation.

    Raises:
        ConfigError: An unknown method, an option that it does not have, values that
            are not finite.

    Source: Owen 1972; arXiv:2010.12082.
    """
    game = Game(value, players, cache=cache, progress=progress)
    count = len(game.players)
    if method is None:
        few = count <= MOST_EXACT and 2**count <= (draws or 64) * (count + 1)
        method, draws = ("exact", None) if few else ("antithetic", draws)
    options = _options(method, draws, nodes, generator)
    game.expect(2**count)
    found = ESTIMATORS[method](game, **options)
    gain = game(2**count - 1) - game(0)
    return Contribution(
        method=method,
        players=game.players,
        phi=found.phi,
        standard_error=found.standard_error,
        gain=gain,
        draws=found.draws,
        evaluations=game.evaluations,
    )


def _options(
    method: str,
    draws: int | None,
    nodes: int | None,
    generator: torch.Generator | None,
) -> dict[str, Any]:
    """Keep the options that were given, and refuse those the method lacks."""
    known = inspect.signature(ESTIMATORS[method]).parameters
    given = {"draws": draws, "nodes": nodes}
    options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    strange = [name for name in options if name not in known]
    if strange:
        raise ConfigError(
            f"contribution: {strange[0]} does not go with method {method!r}. "
            "Leave it out, or choose another method."
        )
    return options | ({"generator": generator} if "generator" in known else {})
