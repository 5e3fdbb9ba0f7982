"""The cooperative game: players, sets of players, and the value of a set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._errors import ConfigError
from .._cache import EvaluationCache, Progress, memory_cache

Value = Callable[[frozenset[str]], float]
"""The value of exactly these players being on; higher is better."""

MOST_EXACT = 12
"""Most players whose 2^n sets are all evaluated."""


@dataclass(frozen=True)
class Estimate:
    """Contributions as one estimator gives them.

    Args:
        phi: Contribution per player, in units of the value.
        standard_error: Of phi; 0 where the estimator is exact.
        draws: Random sets drawn; 0 where the estimator is exact.
    """

    phi: tuple[float, ...]
    standard_error: tuple[float, ...]
    draws: int


class Game:
    """A value function on sets of players, each set evaluated once.

    A set is a number here: bit i is 1 if player i is on.

    Args:
        value: The value of a set.
        players: Names, unique, at least one.
        cache: Finished evaluations, kept by the names of the players that are on.
        progress: Told after every evaluation.

    Raises:
        ConfigError: No players, or names that repeat.
    """

    def __init__(
        self,
        value: Value,
        players: Sequence[str],
        *,
        cache: EvaluationCache | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.players = tuple(players)
        if not self.players or len(set(self.players)) < len(self.players):
            raise ConfigError(
                "players: unique names are needed, at least one, got "
                f"{list(self.players)}."
            )
        self._value = value
        self._cache = memory_cache(cache)
        self._progress = progress
        self._known: dict[int, float] = {}
        self._expected = 0

    @property
    def evaluations(self) -> int:
        """Return how many different sets were asked for."""
        return len(self._known)

    def expect(self, sets: int) -> None:
        """Say how many different sets will be asked for at most, for the progress."""
        self._expected = min(sets, 2 ** len(self.players))

    def __call__(self, mask: int) -> float:
        """Return the value of a set.

        Raises:
            ConfigError: The value is not finite.
        """
        if mask not in self._known:
            self._known[mask] = self._evaluate(mask)
            if self._progress is not None:
                done = len(self._known)
                self._progress(done, max(self._expected, done))
        return self._known[mask]

    def table(self) -> NDArray[np.float64]:
        """Return the values of all sets, by number, shape (2^n,).

        Raises:
            ConfigError: More than 12 players, or a value is not finite.
        """
        count = len(self.players)
        if count > MOST_EXACT:
            raise ConfigError(
                f"players: all sets are evaluated for at most {MOST_EXACT}, got "
                f"{count}. Use the antithetic estimator, or larger groups."
            )
        # The last players change most often, one at a time (Gray order), so that the
        # activations of the blocks before them stay in use.
        for number in range(2**count):
            gray = number ^ (number >> 1)
            self(sum(1 << count - 1 - bit for bit in range(count) if gray >> bit & 1))
        return np.array([self(mask) for mask in range(2**count)], dtype=np.float64)

    def gains(self, mask: int) -> NDArray[np.float64]:
        """Return v(R + i) - v(R - i) for every player i, with n + 1 evaluations."""
        here, count = self(mask), len(self.players)
        gains = np.zeros(count)
        # From the last player to the first: each set shares with the one before it all
        # activations below the player that changes.
        for place in reversed(range(count)):
            bit = 1 << place
            other = self(mask ^ bit)
            gains[place] = here - other if mask & bit else other - here
        return gains

    def _evaluate(self, mask: int) -> float:
        names = [n for place, n in enumerate(self.players) if mask >> place & 1]
        key = json.dumps(names)
        found = self._cache.get_or_compute(key, lambda: self._value(frozenset(names)))
        if not math.isfinite(found):
            raise ConfigError(
                f"value: must be finite, got {found!r} with {names or 'nobody'} on."
            )
        return found


def bits_of(count: int) -> NDArray[np.int64]:
    """Return who is on in every set, shape (2^n, n), of zeros and ones."""
    sets = np.arange(2**count, dtype=np.int64)
    return (sets[:, None] >> np.arange(count, dtype=np.int64)) & 1


def masks_from(rows: NDArray[Any]) -> list[int]:
    """Turn rows of truth values, shape (sets, n), into sets."""
    lists: Iterable[Iterable[bool]] = rows.tolist()
    return [sum(1 << place for place, on in enumerate(row) if on) for row in lists]
