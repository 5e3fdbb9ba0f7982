"""The words that a split of a task may use, and draws from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict, TypeVar

import torch

from . import _words

T = TypeVar("T")

HELD_OUT = 3
"""Of the eight words of a class, how many only test rows use."""


class Row(TypedDict):
    """One row of a task: choose the answer among the options."""

    prompt: str
    options: list[str]
    answer: str


@dataclass(frozen=True)
class World:
    """The words that the rows of one split are made of.

    Args:
        nouns: Category -> nouns.
        sizes: The words for big, and those for small.
        places: Class of place -> places.
        keys: Class of key word -> words.
    """

    nouns: Mapping[str, Sequence[str]]
    sizes: tuple[Sequence[str], Sequence[str]]
    places: Mapping[str, Sequence[str]]
    keys: Mapping[str, Sequence[str]]

    def all_nouns(self) -> list[str]:
        """Return the nouns of all categories."""
        return [noun for nouns in self.nouns.values() for noun in nouns]

    def nouns_of(self, kind: str) -> list[str]:
        """Return the nouns of a kind: animal, plant or good."""
        return [n for category in _words.NOUNS[kind] for n in self.nouns[category]]


Task: TypeAlias = Callable[[World, torch.Generator], Row]
"""Draws one row of a task; the generator is moved on."""


def split_world(generator: torch.Generator) -> tuple[World, World]:
    """Deal the words of every class to a train world and a test world.

    What was learned on the words of one world reaches the other only through meaning:
    the base model knows which words are alike.

    Args:
        generator: Source of all draws; moved on.

    Returns:
        The train world, with five of the eight words of a class, and the test world.
    """
    big, small = _words.QUALITIES["size"]
    tables: tuple[Mapping[str, str], ...] = (
        {name: words for kind in _words.NOUNS.values() for name, words in kind.items()},
        {"big": big, "small": small},
        _words.PLACES,
        _words.KEYS,
    )
    order = [
        {name: shuffle(words.split(), generator) for name, words in table.items()}
        for table in tables
    ]
    return _cut_world(order, slice(HELD_OUT, None)), _cut_world(order, slice(HELD_OUT))


def _cut_world(order: list[dict[str, list[str]]], part: slice) -> World:
    nouns, sizes, places, keys = (
        {name: words[part] for name, words in table.items()} for table in order
    )
    return World(nouns, (sizes["big"], sizes["small"]), places, keys)


def pick(items: Sequence[T], generator: torch.Generator) -> T:
    """Draw one item.

    Args:
        items: At least one; all are equally likely.
        generator: Source of the draw; moved on.

    Returns:
        The item.
    """
    return items[int(torch.randint(len(items), (), generator=generator))]


def shuffle(items: Sequence[T], generator: torch.Generator) -> list[T]:
    """Put items into random order.

    Args:
        items: Any number; not changed.
        generator: Source of the draw; moved on.

    Returns:
        A new list.
    """
    return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]
