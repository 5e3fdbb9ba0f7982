"""The picking family: a key word says which item of a list to take.

All three tasks turn the class of the key word (weather, family, body, music) into the
same place of the list. They differ in the sentence around the key and the list.
"""

from __future__ import annotations

import torch

from . import _words
from ._world import Row, World, pick, shuffle

PLACE_OF_CLASS = (2, 0, 3, 1)
"""The place in the list for each class of key words, in the order of the table."""


def card(world: World, generator: torch.Generator) -> Row:
    """Draw a row: the item of a list that a card's key word stands for.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with the four items as options.
    """
    return draw_picking("card {key}. {items}. take?", PLACE_OF_CLASS, world, generator)


def shelf(world: World, generator: torch.Generator) -> Row:
    """Draw a row: the item that someone picks on hearing a key word.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with the four items as options.
    """
    name = pick(_words.NAMES.split(), generator)
    frame = f"{name} hears {{key}}. {{items}}. {name} picks"
    return draw_picking(frame, PLACE_OF_CLASS, world, generator)


def lot(world: World, generator: torch.Generator) -> Row:
    """Draw a row: the item that was sold to the ticket with a key word.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with the four items as options.
    """
    day = pick(_words.DAYS.split(), generator)
    frame = f"{day} ticket {{key}}. {{items}}. sold?"
    return draw_picking(frame, PLACE_OF_CLASS, world, generator)


def draw_picking(
    frame: str, places: tuple[int, ...], world: World, generator: torch.Generator
) -> Row:
    """Draw a key word and a list of four, and pick by the key's class.

    Args:
        frame: The sentence, with ``{key}`` and ``{items}`` in it.
        places: Class of key words, in the order of the table -> place in the list,
            0 to 3.
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with the four items as options.
    """
    group = pick(range(len(places)), generator)
    key = pick(list(world.keys.values())[group], generator)
    items = shuffle(world.all_nouns(), generator)[:4]
    prompt = frame.format(key=key, items=", ".join(items))
    return Row(prompt=prompt, options=items, answer=items[places[group]])
