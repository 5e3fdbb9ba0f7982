"""Contributions by sampling sets in opposite pairs."""

from __future__ import annotations

import numpy as np
import torch

from ..._errors import ConfigError
from ._game import Estimate, Game, masks_from


def antithetic(
    game: Game, *, draws: int = 64, generator: torch.Generator | None = None
) -> Estimate:
    """Draw p, and with the same numbers u one set for p and one for 1 - p.

    The sets are {i: u_i < p} and {i: u_i >= p}. Each player is in one of them, so the
    part of a game that pairs of players make together has no sampling error at all.

    Args:
        game: Any number of players.
        draws: Random sets, an even number, at least 4; they cost n + 1 evaluations
            each.
        generator: Draws p and u.

    Returns:
        The contributions; standard errors from the spread of the pairs.

    Raises:
        ConfigError: An odd number of draws or too few, or no generator.

    Source: arXiv:2010.12082, section 3.2 (halved and antithetic sampling). Differs: p
    is drawn, not on a grid.
    """
    if draws < 4 or draws % 2 or generator is None:
        raise ConfigError(
            "antithetic: an even number of draws, at least 4, and a generator are "
            f"needed, got {draws} and {generator}. Pass "
            "generator=torch.Generator().manual_seed(0)."
        )
    count, pairs = len(game.players), draws // 2
    game.expect(draws * (count + 1))
    p = torch.rand(pairs, 1, generator=generator, dtype=torch.float64)
    u = torch.rand(pairs, count, generator=generator, dtype=torch.float64)
    low = masks_from((u < p).numpy())
    everybody = 2**count - 1
    means = np.stack(
        [(game.gains(mask) + game.gains(everybody ^ mask)) / 2 for mask in low]
    )
    phi = tuple(float(number) for number in means.mean(0))
    errors = means.std(0, ddof=1) / pairs**0.5
    return Estimate(phi, tuple(float(error) for error in errors), draws)
