"""The errors that cotune raises for the caller's mistakes, and how they read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A mistake in what the caller passed: a config, a recipe, a file, an argument.

    The message has one form: ``where: what must hold, got what. What to do.``
    """


class AdapterFileError(ConfigError):
    """An adapter folder that cannot be read, or that does not fit."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known ones first.

    Args:
        kind: What the name stands for, in the singular, e.g. ``"coupling"``.
        name: What the user wrote.
        known: The names that would have been accepted, in the order to show.

    Returns:
        One line for an error message.

    Example:
        >>> unknown_name("coupling", "ful", ["full", "random"])
        "Unknown coupling 'ful'. Did you mean full? Known: full, random."
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
