"""How much privacy is spent: Renyi differential privacy of Gaussian rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ..._errors import ConfigError

Sampling = Literal["poisson", "fixed"]
"""How the clients of a round are chosen, in secret.

- poisson: each client by its own coin, with probability ``rate``.
- fixed: a set of fixed size, drawn without replacement.
"""

ORDERS = (*range(2, 65), 72, 96, 128, 192, 256, 512, 1024)


class Accountant:
    """Adds up the privacy that rounds of Gaussian noise cost.

    What it bounds: how much better anyone who sees all shared factors can tell whether
    one client (with all its data) took part. ``epsilon`` grows with every round; below
    1 is strong, above 10 says little.

    Example:
        >>> accountant = Accountant()
        >>> for _ in range(10):
        ...     accountant.step(noise_multiplier=4.0, rate=1.0)
        >>> round(accountant.epsilon(1e-5), 2)
        3.63
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[float, float, Sampling], int] = {}

    @property
    def rounds(self) -> int:
        """Return how many rounds were counted."""
        return sum(self._steps.values())

    def step(
        self,
        *,
        noise_multiplier: float,
        rate: float,
        sampling: Sampling = "poisson",
        count: int = 1,
    ) -> None:
        """Count some rounds.

        Args:
            noise_multiplier: Standard deviation of the noise on the *sum* of the
                clipped updates, over the clipping length; at least 0.
            rate: Share of all clients that is asked, in (0, 1]. 1 if somebody who sees
                the result may know who was asked: then sampling hides nothing.
            sampling: How they are chosen.
            count: How many rounds.

        Raises:
            ConfigError: A number out of range.
        """
        if not (noise_multiplier >= 0 and 0 < rate <= 1 and count >= 0):
            raise ConfigError(
                "Accountant.step: noise_multiplier and count must be at least 0 and "
                f"rate in (0, 1], got {noise_multiplier!r}, {count!r} and {rate!r}."
            )
        key = (float(noise_multiplier), float(rate), sampling)
        self._steps[key] = self._steps.get(key, 0) + count

    def epsilon(self, delta: float) -> float:
        """Return epsilon of (epsilon, delta) differential privacy so far.

        Args:
            delta: In (0, 1); well below 1 / number of clients.

        Returns:
            At least 0; infinity without noise; 0 before the first round.

        Raises:
            ConfigError: ``delta`` is out of range.

        Source: conversion of arXiv:2004.00010, proposition 12 (as in Opacus).
        """
        if not 0 < delta < 1:
            raise ConfigError(f"epsilon: delta must be in (0, 1), got {delta!r}.")
        if not self.rounds:
            return 0.0
        found = min(self._convert(order, delta) for order in ORDERS)
        return max(0.0, found)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the state for a checkpoint."""
        names = ("noise_multiplier", "rate", "sampling")
        return [
            {**dict(zip(names, key, strict=True)), "count": count}
            for key, count in self._steps.items()
        ]

    @classmethod
    def from_json(cls, state: list[Mapping[str, Any]]) -> Accountant:
        """Make the accountant that ``to_json`` described.

        Raises:
            ConfigError: A number out of range.
        """
        accountant = cls()
        for part in state:
            accountant.step(**part)
        return accountant

    def _convert(self, order: int, delta: float) -> float:
        spent = sum(
            count * renyi(order, noise, rate, sampling)
            for (noise, rate, sampling), count in self._steps.items()
        )
        slack = (math.log(delta) + math.log(order)) / (order - 1)
        return spent - slack + math.log1p(-1 / order)


def renyi(
    order: int, noise_multiplier: float, rate: float, sampling: Sampling = "poisson"
) -> float:
    """Return the Renyi divergence that one round can reach at most.

    Args:
        order: alpha, a whole number from 2.
        noise_multiplier: z, at least 0.
        rate: q, in (0, 1].
        sampling: How clients are chosen.

    Returns:
        At least 0; infinity where z is 0.

    Neighbours differ by one client: its update is there, or zero stands in its place.

    Source: q = 1: alpha / (2 z^2), arXiv:1702.07476, corollary 3. poisson:
    arXiv:1908.10530, section 3.3, whole orders only. fixed: arXiv:1808.00087, theorem
    9. Its neighbours put any other client in place of one, so the sum moves by up to 2
    clipping lengths; ours are among them. Where it is worse than no sampling at all the
    value of q = 1 counts: the divergence of mixtures, here over the sets that may be
    drawn, is at most the largest of their parts (arXiv:1206.2459, theorem 13).
    """
    if noise_multiplier == 0:
        return math.inf
    whole = order / (2 * noise_multiplier**2)
    if rate == 1:
        return whole
    if sampling == "poisson":
        return _renyi_poisson(order, noise_multiplier, rate)
    return min(whole, _renyi_fixed(order, noise_multiplier, rate))


def _renyi_poisson(order: int, noise: float, rate: float) -> float:
    terms = [
        _log_binomial(order, k)
        + (order - k) * math.log1p(-rate)
        + k * math.log(rate)
        + (k * k - k) / (2 * noise**2)
        for k in range(order + 1)
    ]
    return max(0.0, _log_sum(terms)) / (order - 1)


def _renyi_fixed(order: int, noise: float, rate: float) -> float:
    def unsampled(j: int) -> float:
        return 2 * j / noise**2  # alpha (2 C)^2 / (2 z^2 C^2)

    # min(4 (e^x - 1), 2 e^x), in logarithms.
    second = math.log(2) + unsampled(2)
    if unsampled(2) < math.log(2):
        second = math.log(4 * math.expm1(unsampled(2)))
    terms = [0.0, 2 * math.log(rate) + _log_binomial(order, 2) + second]
    terms += [
        j * math.log(rate)
        + _log_binomial(order, j)
        + (j - 1) * unsampled(j)
        + math.log(2)
        for j in range(3, order + 1)
    ]
    return _log_sum(terms) / (order - 1)


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_sum(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(math.fsum(math.exp(x - top) for x in logs))
