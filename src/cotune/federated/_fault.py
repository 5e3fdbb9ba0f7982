"""Why a reply is dropped: a word for counts, a line for the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal["keys", "type", "dtype", "shape", "not-finite", "weight", "norm"]
"""Why a reply is dropped, in one word for logs and counts.

- keys: names are missing or too many.
- type: a value that is no array, or whose bytes cannot be read as one.
- dtype, shape: another one than asked for.
- not-finite: NaN or infinity.
- weight: not a number in (0, max_weight].
- norm: longer than max_norm.
"""


@dataclass(frozen=True)
class Fault:
    """Why one reply is dropped.

    Args:
        code: The reason in one word.
        text: The reason in one line: no value of the reply, no line break, under 300
            characters. Safe for a log whatever the client sent.
    """

    code: Code
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


def show(value: object) -> str:
    """Show what a stranger sent: short, printable, and without running its code.

    Args:
        value: Anything at all.

    Returns:
        At most 100 characters; the name of its type where nothing else is safe.
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a huge number"
    if isinstance(value, str):
        return ascii(value[:80]) + "..." * (len(value) > 80)
    if value is None or isinstance(value, int):
        return str(value)
    if isinstance(value, tuple) and all(type(part) is int for part in value):
        return ascii(value[:8])[:80]
    return type(value).__name__[:40]
