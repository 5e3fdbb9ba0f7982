"""Contributions by Gauss-Legendre quadrature of the multilinear form."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..._errors import ConfigError
from ._game import Estimate, Game, bits_of, masks_from


def quadrature(
    game: Game,
    *,
    nodes: int | None = None,
    draws: int | None = None,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Integrate E[v(R + i) - v(R - i)] over p in [0, 1], R drawn with probability p.

    The integrand is a polynomial of degree n - 1 in p, so ceil(n / 2) nodes integrate
    it exactly; what is left is the error of its expectation.

    Args:
        game: The game; at most 12 players if ``draws`` is None.
        nodes: Number of Gauss-Legendre nodes; None takes ceil(n / 2).
        draws: Random sets in all, spread over the nodes, at least 2 each; they cost
            n + 1 evaluations each. None takes exact expectations over all 2^n sets.
        generator: Draws the sets; needed with ``draws``.

    Returns:
        The contributions; standard errors from the spread at each node.

    Raises:
        ConfigError: Too few nodes or draws, no generator, too many players.

    Source: Owen 1972; arXiv:2010.12082, eq. 4. Differs: Gauss-Legendre nodes instead of
    the trapezoid rule.
    """
    count = len(game.players)
    nodes = (count + 1) // 2 if nodes is None else nodes
    if nodes < 1:
        raise ConfigError(f"quadrature: at least 1 node is needed, got {nodes}.")
    p, w = unit_nodes(nodes)
    if draws is None:
        values = game.table()
        parts = [expected_gains(values, share) for share in p]
        phi = sum((weight * part for weight, part in zip(w, parts, strict=True)), 0.0)
        return Estimate(_floats(phi), (0.0,) * count, 0)
    if draws < 2 * nodes or generator is None:
        raise ConfigError(
            f"quadrature: at least {2 * nodes} draws and a generator are needed for "
            f"{nodes} nodes, got {draws} and {generator}."
        )
    each = draws // nodes
    game.expect(each * nodes * (count + 1))
    phi, variance = np.zeros(count), np.zeros(count)
    for share, weight in zip(p, w, strict=True):
        numbers = torch.rand(each, count, generator=generator, dtype=torch.float64)
        gains = np.stack([game.gains(m) for m in masks_from(numbers.numpy() < share)])
        phi += weight * gains.mean(0)
        variance += weight**2 * gains.var(0, ddof=1) / each
    return Estimate(_floats(phi), _floats(np.sqrt(variance)), each * nodes)


def unit_nodes(
    nodes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gauss-Legendre nodes and weights on [0, 1].

    Args:
        nodes: How many; polynomials up to degree 2 nodes - 1 are integrated exactly.
    """
    x, weights = np.polynomial.legendre.leggauss(nodes)
    return (x + 1) / 2, weights / 2


def expected_gains(values: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    """Return E[v(R + i) - v(R - i)] for every i, R drawn with probability p, exactly.

    Args:
        values: Value of every set, shape (2^n,).
        p: Probability that a player is on, in [0, 1].

    Returns:
        Shape (n,).
    """
    count = len(values).bit_length() - 1
    on = bits_of(count)
    gains: list[float] = []
    for place in range(count):
        without = np.flatnonzero(on[:, place] == 0)
        size = on[without].sum(1)
        chance = p**size * (1 - p) ** (count - 1 - size)
        rise = values[without | (1 << place)] - values[without]
        gains.append(float(np.sum(chance * rise)))
    return np.array(gains, dtype=np.float64)


def _floats(numbers: NDArray[np.float64] | float) -> tuple[float, ...]:
    return tuple(float(number) for number in np.atleast_1d(numbers))
