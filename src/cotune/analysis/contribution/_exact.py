"""Contributions from all 2^n sets."""

from __future__ import annotations

from math import factorial

import numpy as np

from ._game import Estimate, Game, bits_of


def exact(game: Game) -> Estimate:
    """Compute Shapley values by their definition.

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)). They
    add up to v(all) - v(none).

    Args:
        game: At most 12 players; all 2^n sets are evaluated.

    Returns:
        The values, without error.

    Raises:
        ConfigError: More than 12 players.

    Source: Shapley 1953; arXiv:2010.12082, eq. 1.
    """
    values, count = game.table(), len(game.players)
    sizes = bits_of(count).sum(1)
    weights = np.array(
        [
            factorial(s) * factorial(count - s - 1) / factorial(count)
            for s in range(count)
        ]
    )
    phi: list[float] = []
    for place in range(count):
        without = np.flatnonzero(~bits_of(count)[:, place].astype(bool))
        gains = values[without | (1 << place)] - values[without]
        phi.append(float(np.sum(weights[sizes[without]] * gains)))
    return Estimate(tuple(phi), (0.0,) * count, 0)
