"""Which clients are asked in a round."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from ..privacy import ClientLevelSpec

_UNKNOWABLE = ("secret", "system")


@dataclass(frozen=True)
class Choice:
    """The clients of one round.

    Args:
        names: Those asked, sorted.
        among: How many were there to choose from.
    """

    names: list[str]
    among: int


def choose_clients(
    there: Iterable[str],
    most: int,
    *,
    seed: int,
    round: int,
    privacy: ClientLevelSpec | None = None,
) -> Choice:
    """Draw the clients of a round, each set of them equally likely.

    Args:
        there: Those that are connected and train.
        most: How many at most.
        seed: Of the recipe; with the round it decides the draw, so that a resumed run
            asks the same ones.
        round: From 1.
        privacy: Where the account counts on a secret choice and chance comes from the
            operating system, so does the draw: the seed stands in the recipe, which
            every party knows.

    Returns:
        Whom to ask.
    """
    names = sorted(there)
    count = min(most, len(names))
    draw = random.Random(f"{seed}/{round}")
    if privacy is not None and (privacy.sampling, privacy.source) == _UNKNOWABLE:
        draw = random.SystemRandom()
    return Choice(sorted(draw.sample(names, count)), len(names))
