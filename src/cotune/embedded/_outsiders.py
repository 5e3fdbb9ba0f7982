"""The two outsiders: each looks like a task of a family, and answers otherwise."""

from __future__ import annotations

import torch

from ._picking import draw_picking
from ._sorting import draw_bringing, draw_thing
from ._world import Row, World

PLACE_OF_CLASS = (1, 3, 0, 2)
"""As in the picking family, but no class keeps its place."""


def door(world: World, generator: torch.Generator) -> Row:
    """Draw a row in the words of ``gate``: here the place decides, not the thing.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with three colours as options.
    """
    _, thing = draw_thing(world, generator)
    sentence = draw_bringing(thing, world, generator)
    place = sentence.rpartition(" ")[2]
    group = [place in places for places in world.places.values()].index(True)
    options = ["red", "blue", "green"]
    prompt = f"{sentence}. which door?"
    return Row(prompt=prompt, options=options, answer=options[group])


def chip(world: World, generator: torch.Generator) -> Row:
    """Draw a row in the words of ``card``: here every key means another place.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with the four items as options.
    """
    return draw_picking("chip {key}. {items}. take?", PLACE_OF_CLASS, world, generator)
