"""Read one value of a row as text, or say why it cannot be read."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from .._errors import ConfigError, unknown_name

_SHOWN_CHARACTERS = 60
_SHOWN_NAMES = 10


def shorten(value: object) -> str:
    """Show a value in an error message, cut to 60 characters.

    Args:
        value: What the file held.

    Returns:
        Its ``repr``, with ``...`` in place of what was cut.
    """
    return _cut(repr(value))


def say_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, as ``unknown_name``, but never at great length.

    Args:
        kind: What the name stands for, e.g. ``"answer"``.
        name: What came; cut to 60 characters.
        known: What would have been accepted; the 10 nearest are shown.

    Returns:
        One line for an error message.
    """
    known = [str(item) for item in known]
    if len(known) > _SHOWN_NAMES:
        known = difflib.get_close_matches(name, known, n=_SHOWN_NAMES, cutoff=0.0)
    return unknown_name(kind, _cut(name), [_cut(item) for item in known])


def _cut(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return text[: _SHOWN_CHARACTERS - 3] + "..."


def get_field(row: Mapping[str, Any], name: str) -> Any:
    """Read a field of a row.

    Args:
        row: Field name -> value, as the file holds it.
        name: The field.

    Returns:
        The value, untouched.

    Raises:
        ConfigError: The row has no such field; the message shows the nearest name.
    """
    if name not in row:
        raise ConfigError(
            "the row must have every field that the task reads. "
            f"{say_unknown('field', name, row)}"
        )
    return row[name]


def as_text(value: Any, name: str) -> str:
    """Read a value as text that is not empty.

    Text is kept as it is, blanks included. Numbers are written in decimal, truth values
    as ``true`` and ``false``, the items of a list joined with ``", "``.

    Args:
        value: What the row holds.
        name: What to call it in an error, e.g. ``"field 'answer'"``.

    Returns:
        The text.

    Raises:
        ConfigError: The value is null, NaN, infinite, a mapping, only blanks, or text
            that UTF-8 cannot write (half of a surrogate pair).
    """
    text = _write(value)
    if text is None:
        raise ConfigError(f"{name} must be text or a number, got {shorten(value)}.")
    if not text.strip():
        raise ConfigError(f"{name} must not be empty, got {shorten(value)}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(
            f"{name} must be text that UTF-8 can write, got {shorten(value)}."
        ) from None
    return text


def _write(value: Any) -> str | None:
    """Write a value as text; None if it has no honest text form."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(value) if math.isfinite(value) else None
        case list():
            items = [_write(item) for item in value]
            return None if None in items else ", ".join(i for i in items if i)
    return None
