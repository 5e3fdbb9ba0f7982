"""The pre-training texts of the embedded model: simple facts, lists, stories and rules.

A document is a question with its answer. Rules are always stated in the text itself,
with labels drawn afresh, so no document holds the hidden rule of one of the eight
tasks of ``cotune.embedded``; the tests check that no document has a task's frame.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cotune.embedded import _words as w


@dataclass(frozen=True)
class Document:
    """One short text.

    Args:
        prompt: The given part, as one line.
        answer: What follows from it, as one line.
    """

    prompt: str
    answer: str


Maker = Callable[[random.Random], Document]

CLASSES = w.noun_classes()
KIND = w.kind_of_category()
NOUNS = [noun for nouns in CLASSES.values() for noun in nouns]
CATEGORY = {noun: category for category, nouns in CLASSES.items() for noun in nouns}
POLES = {
    poles[side].split()[0]: poles[side].split()
    for poles in w.QUALITIES.values()
    for side in (0, 1)
}
OPPOSITE = {
    poles[side].split()[0]: poles[1 - side].split()[0]
    for poles in w.QUALITIES.values()
    for side in (0, 1)
}
SENSE = {word: pole for pole, words in POLES.items() for word in words}
PLACES = {name: words.split() for name, words in w.PLACES.items()}
KEYS = {name: words.split() for name, words in w.KEYS.items()}
GROUPS = {**CLASSES, **PLACES, **KEYS}
MEMBER = {word: name for name, words in GROUPS.items() for word in words}
NAMES, COLOURS, SHAPES, NUMBERS, DAYS, LABELS, ORDINALS = (
    table.split()
    for table in (
        w.NAMES, w.COLOURS, w.SHAPES, w.NUMBERS, w.DAYS, w.LABELS, w.ORDINALS,
    )
)  # fmt: skip
ALL_WORDS = w.vocabulary()
ANSWERS = COLOURS + SHAPES + NUMBERS + DAYS + LABELS


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _nouns_of(category_or_kind: str) -> list[str]:
    if category_or_kind in CLASSES:
        return CLASSES[category_or_kind]
    return [n for n in NOUNS if KIND[CATEGORY[n]] == category_or_kind]


def _list(words: list[str]) -> str:
    return ", ".join(words)


def category_fact(rng: random.Random) -> Document:
    """Say to which class a word belongs."""
    word = rng.choice(list(MEMBER))
    truth = MEMBER[word]
    wrong = rng.choice([name for name in GROUPS if name != truth])
    form = rng.randrange(4)
    if form == 0:
        return Document(f"what is {word}?", truth)
    if form == 1:
        asked = rng.choice([truth, wrong])
        return Document(f"is {word} {asked}?", _yes(asked == truth))
    if form == 2:
        pair = rng.sample([truth, wrong], 2)
        return Document(f"is {word} {pair[0]} or {pair[1]}?", truth)
    others = rng.sample([o for o in GROUPS[truth] if o != word], 2)
    return Document(f"{_list(others)} and {word} are", truth)


def kind_fact(rng: random.Random) -> Document:
    """Say whether a noun is an animal, a plant or a good."""
    noun = rng.choice(NOUNS)
    truth = KIND[CATEGORY[noun]]
    if rng.random() < 0.5:
        return Document(f"what kind is the {noun}?", truth)
    asked = rng.choice([truth, rng.choice(list(w.NOUNS))])
    return Document(f"is the {noun} of the kind {asked}?", _yes(asked == truth))


def same_class(rng: random.Random) -> Document:
    """Say whether two words are of one class, or name the common class."""
    name = rng.choice(list(GROUPS))
    first, second = rng.sample(GROUPS[name], 2)
    if rng.random() < 0.5:
        second = rng.choice(list(MEMBER))
    same = MEMBER[first] == MEMBER[second]
    return Document(f"are {first} and {second} of the same kind?", _yes(same))


def quality_fact(rng: random.Random) -> Document:
    """Explain an adjective by the first word of its pole, or by its opposite."""
    word = rng.choice(list(SENSE))
    pole = SENSE[word]
    form = rng.randrange(4)
    if form == 0:
        return Document(f"{word} means", pole)
    if form == 1:
        return Document(f"the opposite of {word} is", OPPOSITE[pole])
    if form == 2:
        pair = rng.sample([pole, OPPOSITE[pole]], 2)
        return Document(f"is {word} {pair[0]} or {pair[1]}?", pole)
    other = rng.choice(POLES[rng.choice([pole, OPPOSITE[pole]])])
    same = SENSE[other] == pole
    return Document(f"{word} and {other}: same or opposite?",
                    "same" if same else "opposite")  # fmt: skip


def list_place(rng: random.Random) -> Document:
    """Find the item of a list at a named place."""
    words = rng.sample(NOUNS, 4)
    place = rng.randrange(4)
    ask, given = ORDINALS[place], _list(words)
    form = rng.randrange(4)
    prompts = (
        f"{given}. {ask}?",
        f"{ask} of {given}?",
        f"list: {given}. get the {ask}.",
        f"find the {ask} item. {given}.",
    )
    return Document(prompts[form], words[place])


def list_neighbour(rng: random.Random) -> Document:
    """Find what comes before or after an item, or the place of an item."""
    words = rng.sample(NOUNS, rng.randint(3, 5))
    place = rng.randrange(len(words) - 1)
    first, second, given = words[place], words[place + 1], _list(words)
    form = rng.randrange(3)
    if form == 0:
        return Document(f"{given}. after {first}?", second)
    if form == 1:
        return Document(f"{given}. before {second}?", first)
    return Document(f"{given}. which place has {first}?", ORDINALS[place])


def list_copy(rng: random.Random) -> Document:
    """Copy a list, as it stands or backwards, or a made-up word."""
    form = rng.randrange(3)
    if form == 2:
        letters = "".join(
            rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 5))
        )
        return Document(f"copy {letters}:", letters)
    words = rng.sample(ALL_WORDS, rng.randint(2, 4))
    if form == 0:
        return Document(f"copy {_list(words)}:", _list(words))
    return Document(f"backwards {_list(words)}:", _list(words[::-1]))


def list_count(rng: random.Random) -> Document:
    """Count a list, or the members of one class in it."""
    words = rng.sample(NOUNS, rng.randint(2, 5))
    if rng.random() < 0.3:
        return Document(f"{_list(words)}. how many?", NUMBERS[len(words) - 1])
    word = rng.choice(words)
    inside = rng.random() < 0.5
    asked = word if inside else rng.choice([n for n in NOUNS if n not in words])
    return Document(f"is {asked} in {_list(words)}?", _yes(inside))


def list_class(rng: random.Random) -> Document:
    """Find the one item of a class, or the one that is not of the class."""
    odd = rng.random() < 0.4
    names = rng.sample(list(CLASSES), 4)
    if odd:
        words = [*rng.sample(CLASSES[names[0]], 3), rng.choice(CLASSES[names[1]])]
        answer = words[3]
    else:
        words = [rng.choice(CLASSES[name]) for name in names]
        answer = words[0]
    rng.shuffle(words)
    if odd:
        return Document(f"{_list(words)}. which is odd?", answer)
    return Document(f"{_list(words)}. which is {names[0]}?", answer)


def list_quality(rng: random.Random) -> Document:
    """Find the item with a quality, or the quality of an item."""
    poles = rng.sample(list(POLES), 3)
    nouns = rng.sample(NOUNS, 3)
    words = [rng.choice(POLES[pole]) for pole in poles]
    given = (
        f"a {words[0]} {nouns[0]}, a {words[1]} {nouns[1]} and a {words[2]} {nouns[2]}"
    )
    row = rng.randrange(3)
    if rng.random() < 0.5:
        return Document(f"{given}. which is {poles[row]}?", nouns[row])
    return Document(f"{given}. the {nouns[row]} is", poles[row])


def story(rng: random.Random) -> Document:
    """Ask about one slot of a sentence with person, thing, quality, place and day."""
    name, noun, place = rng.choice(NAMES), rng.choice(NOUNS), rng.choice(
        [p for places in PLACES.values() for p in places]
    )  # fmt: skip
    word, day = rng.choice(list(SENSE)), rng.choice(DAYS)
    verb = rng.choice("sees buys sells carries keeps".split())
    text = rng.choice(
        (
            f"{name} {verb} a {word} {noun} at the {place} on {day}.",
            f"on {day} {name} {verb} the {word} {noun} from the {place}.",
            f"at the {place} {name} {verb} one {word} {noun} on {day}.",
        )
    )
    question, answer = rng.choice(
        (
            ("who?", name),
            ("where?", place),
            ("which day?", day),
            ("which thing?", noun),
            ("what kind of thing?", KIND[CATEGORY[noun]]),
            ("which class?", CATEGORY[noun]),
            ("how is it?", SENSE[word]),
            ("what is the place?", MEMBER[place]),
            (f"is it {SENSE[word]}?", "yes"),
            (f"is it {OPPOSITE[SENSE[word]]}?", "no"),
        )
    )
    return Document(f"{text} {question}", answer)


def number_fact(rng: random.Random) -> Document:
    """Add two small numbers, or compare them."""
    first, second = rng.randint(1, 6), rng.randint(1, 6)
    one, two = NUMBERS[first - 1], NUMBERS[second - 1]
    form = rng.randrange(3)
    if form == 0 or first == second:
        return Document(f"{one} plus {two} is", NUMBERS[first + second - 1])
    more = form == 1
    high, low = (one, two) if first > second else (two, one)
    ask = "more" if more else "less"
    return Document(f"which is {ask}, {one} or {two}?", high if more else low)


def stated_rule(rng: random.Random) -> Document:
    """Apply a rule that the text states: class of thing -> label."""
    table = rng.choice((CLASSES, KEYS, PLACES, POLES, None))
    if table is None:
        names = list(w.NOUNS)
        members = {name: _nouns_of(name) for name in names}
    else:
        names = rng.sample(list(table), rng.randint(2, min(4, len(table))))
        members = table
    labels = rng.sample(ANSWERS, len(names))
    rng.shuffle(names)
    row = rng.randrange(len(names))
    rule = _list([f"{n} is {lab}" for n, lab in zip(names, labels, strict=True)])
    return Document(f"rule: {rule}. {rng.choice(members[names[row]])}?", labels[row])


def stated_double_rule(rng: random.Random) -> Document:
    """Apply a stated rule with two conditions: quality and kind of thing -> label."""
    axis = rng.choice(list(w.QUALITIES))
    poles = [words.split()[0] for words in w.QUALITIES[axis]]
    kinds = rng.sample(list(w.NOUNS), 2)
    cells = [(pole, kind) for pole in poles for kind in kinds]
    labels = rng.choices(rng.sample(ANSWERS, 3), k=4)
    order = rng.sample(range(4), 4)
    rule = _list([f"{cells[i][0]} {cells[i][1]} is {labels[i]}" for i in order])
    row = rng.randrange(4)
    pole, kind = cells[row]
    thing = f"{rng.choice(POLES[pole])} {rng.choice(_nouns_of(kind))}"
    return Document(f"rule: {rule}. a {thing}?", labels[row])


def stated_place_rule(rng: random.Random) -> Document:
    """Take the list item at the place that a stated rule gives to a class of words."""
    groups = {**KEYS, **PLACES, **POLES}
    names = rng.sample(list(groups), rng.randint(2, 3))
    places = rng.sample(range(4), len(names))
    rule = _list([f"{n} is {ORDINALS[p]}" for n, p in zip(names, places, strict=True)])
    row = rng.randrange(len(names))
    word = names[row] if rng.random() < 0.3 else rng.choice(groups[names[row]])
    words = rng.sample(NOUNS, 4)
    forms = (f"{_list(words)}. {word}?", f"{word} of {_list(words)}?")
    return Document(f"rule: {rule}. {rng.choice(forms)}", words[places[row]])


def examples_rule(rng: random.Random) -> Document:
    """Label a word as the examples before it label the words of its class."""
    table = rng.choice((CLASSES, KEYS, PLACES, POLES))
    names = rng.sample(list(table), 2)
    labels = rng.sample(ANSWERS, 2)
    rows = [0, 1, *rng.choices((0, 1), k=rng.randint(0, 2))]
    rng.shuffle(rows)
    shown = [f"{rng.choice(table[names[i]])} {labels[i]}" for i in rows]
    row = rng.randrange(2)
    return Document(f"{_list(shown)}, {rng.choice(table[names[row]])}", labels[row])


MIXTURE: dict[Maker, float] = {
    category_fact: 2.0,
    kind_fact: 1.0,
    same_class: 1.0,
    quality_fact: 1.5,
    list_place: 1.5,
    list_neighbour: 1.5,
    list_copy: 0.5,
    list_count: 0.5,
    list_class: 1.0,
    list_quality: 1.0,
    story: 1.5,
    number_fact: 0.5,
    stated_rule: 1.5,
    stated_double_rule: 1.5,
    stated_place_rule: 1.5,
    examples_rule: 1.0,
}
"""Maker -> its share of the documents, up to a common factor."""


def draw_documents(count: int, rng: random.Random) -> list[Document]:
    """Draw documents from the mixture.

    Args:
        count: How many.
        rng: Source of all draws; moved on.

    Returns:
        The documents, in the order drawn.
    """
    makers = rng.choices(list(MIXTURE), weights=list(MIXTURE.values()), k=count)
    return [maker(rng) for maker in makers]
