"""The words of the embedded little world: classes of words that share a meaning.

The builder of the model and the eight tasks draw from the same tables, so that a task
can ask for a meaning that the model has met, by a rule that it has not.
"""

from __future__ import annotations

from collections.abc import Iterator

NOUNS: dict[str, dict[str, str]] = {
    "animal": {
        "fish": "trout carp perch salmon pike herring cod eel",
        "bird": "robin crow lark finch owl heron duck wren",
        "beast": "horse cow sheep goat bear wolf deer fox",
        "insect": "ant bee wasp moth beetle cricket fly gnat",
    },
    "plant": {
        "tree": "oak elm pine birch maple willow ash cedar",
        "flower": "rose tulip lily daisy poppy iris violet orchid",
        "fruit": "apple pear plum cherry grape melon fig peach",
        "herb": "mint basil thyme sage parsley dill clover fern",
    },
    "good": {
        "tool": "hammer saw spade axe drill chisel rake knife",
        "metal": "iron copper tin lead zinc brass steel bronze",
        "cloth": "silk wool linen cotton velvet felt denim lace",
        "vessel": "cup jar bowl jug pot flask barrel bucket",
    },
}
"""Kind -> category -> its nouns."""

QUALITIES: dict[str, tuple[str, str]] = {
    "size": (
        "big huge giant vast large great bulky massive",
        "small tiny little wee slight minute dainty compact",
    ),
    "age": (
        "old ancient aged antique elderly dated mature worn",
        "new fresh young recent modern novel current unused",
    ),
    "heat": (
        "hot warm boiling burning scorching heated baking fiery",
        "cold cool icy frozen chilly freezing frosty wintry",
    ),
    "light": (
        "bright shiny sunny gleaming radiant glowing lucid sparkling",
        "dark dim murky gloomy dusky shady unlit dull",
    ),
}
"""Axis -> the words of its two poles; the first word names the pole."""

PLACES: dict[str, str] = {
    "water": "harbour beach lake river pond bay canal shore",
    "town": "market street square station school office bank shop",
    "country": "forest hill meadow field farm valley orchard moor",
}
"""Class of place -> its places."""

KEYS: dict[str, str] = {
    "weather": "rain snow hail fog wind storm frost thunder",
    "family": "aunt uncle sister brother mother father cousin nephew",
    "body": "hand foot knee elbow shoulder ankle wrist chin",
    "music": "drum flute harp violin piano trumpet guitar horn",
}
"""Class of key word -> its words."""

COLOURS = "red blue green yellow white black brown grey"
SHAPES = "circle ring star cross arrow heart cube cone"
NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
DAYS = "monday tuesday wednesday thursday friday saturday sunday"
NAMES = (
    "anna ben clara david emma felix grace hugo irene jack karin leo maria noah olga "
    "paul rita sam tina victor"
)
LABELS = "dax wug fep blick zup toma kiki bova nilt gorp pim sef"
"""Words without a meaning; the builder's rules use them as answers."""

ORDINALS = "first second third fourth"

GLUE = (
    "a an the is are and or not of in on at to from with for by this that it one all "
    "what which who where how many like same opposite kind thing yes no means say "
    "rule than then list next before after last backwards count copy word has have "
    "sees buys sells carries went took gave keeps more less make most brings gate "
    "door parcel stamp clerk weighs noon fee card chip take hears shelf picks lot "
    "ticket sold does do both neither only very but there here called item put class "
    "plus odd pick get find some any"
)
"""The remaining words. Their order, as that of all tables, gives the token ids."""


def split_words(words: str) -> list[str]:
    """Turn a line of the tables into its words.

    Args:
        words: Words with blanks between them.

    Returns:
        The words, in the order of the line.
    """
    return words.split()


def noun_classes() -> dict[str, list[str]]:
    """Return category -> its nouns, over all kinds."""
    return {
        category: split_words(words)
        for categories in NOUNS.values()
        for category, words in categories.items()
    }


def kind_of_category() -> dict[str, str]:
    """Return category -> kind, e.g. ``fish`` -> ``animal``."""
    return {c: kind for kind, categories in NOUNS.items() for c in categories}


def vocabulary() -> list[str]:
    """List every word of the world once.

    Returns:
        About 500 words in a fixed order: the order of their token ids.
    """
    return list(dict.fromkeys(_all_words()))


def _all_words() -> Iterator[str]:
    yield from split_words(GLUE)
    for kind, categories in NOUNS.items():
        yield kind
        for category, words in categories.items():
            yield category
            yield from split_words(words)
    for axis, poles in QUALITIES.items():
        yield axis
        for words in poles:
            yield from split_words(words)
    for table in (PLACES, KEYS):
        for name, words in table.items():
            yield name
            yield from split_words(words)
    for words in (COLOURS, SHAPES, NUMBERS, DAYS, NAMES, LABELS, ORDINALS):
        yield from split_words(words)
