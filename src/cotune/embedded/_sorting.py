"""The sorting family: a parcel's size and the kind of its content decide.

All three tasks look at the same two things, whether a word means big or small and
whether a noun is an animal or a plant, and pass over the rest. They differ in the
sentence and in the words of the answer.
"""

from __future__ import annotations

import torch

from . import _words
from ._world import Row, World, pick

KINDS = ("animal", "plant")
OTHER_QUALITIES = [
    word
    for axis, poles in _words.QUALITIES.items()
    if axis != "size"
    for words in poles
    for word in words.split()
]


def gate(world: World, generator: torch.Generator) -> Row:
    """Draw a row: which gate does a thing go to, by size and kind.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with four colours as options.
    """
    cell, thing = draw_thing(world, generator)
    prompt = f"{draw_bringing(thing, world, generator)}. which gate?"
    return _answer(prompt, "red blue green white", cell)


def stamp(world: World, generator: torch.Generator) -> Row:
    """Draw a row: which stamp does a parcel get, by size and kind.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with four shapes as options.
    """
    cell, thing = draw_thing(world, generator)
    day = pick(_words.DAYS.split(), generator)
    other = pick(OTHER_QUALITIES, generator)
    prompt = f"parcel for {day}: {other} and {thing}. stamp?"
    return _answer(prompt, "circle ring star cross", cell)


def fee(world: World, generator: torch.Generator) -> Row:
    """Draw a row: what is the fee for a thing, by size and kind.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        A row with four numbers as options.
    """
    cell, thing = draw_thing(world, generator)
    name = pick(_words.NAMES.split(), generator)
    prompt = f"at noon a clerk weighs the {thing} of {name}. fee?"
    return _answer(prompt, "nine three two five", cell)


def draw_thing(world: World, generator: torch.Generator) -> tuple[int, str]:
    """Draw a thing with a size.

    Args:
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        Its cell, 2 * kind + size with both in {0, 1}, and its words.
    """
    kind, size = pick((0, 1), generator), pick((0, 1), generator)
    noun = pick(world.nouns_of(KINDS[kind]), generator)
    return 2 * kind + size, f"{pick(world.sizes[size], generator)} {noun}"


def draw_bringing(thing: str, world: World, generator: torch.Generator) -> str:
    """Draw a sentence in which someone brings a thing from somewhere.

    Args:
        thing: The thing.
        world: The words to use.
        generator: Source of all draws; moved on.

    Returns:
        The sentence; the place is its last word.
    """
    name = pick(_words.NAMES.split(), generator)
    places = world.places[pick(list(world.places), generator)]
    return f"{name} brings a {thing} from the {pick(places, generator)}"


def _answer(prompt: str, labels: str, cell: int) -> Row:
    options = labels.split()
    return Row(prompt=prompt, options=options, answer=options[cell])
