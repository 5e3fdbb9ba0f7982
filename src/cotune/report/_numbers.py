"""How numbers are written for people."""

from __future__ import annotations

import math


def show_number(value: float | None) -> str:
    """Write a number with four digits that count, and thousands apart.

    Args:
        value: Any number, or None.

    Returns:
        Text; a dash for None and for what is not finite.

    Example:
        >>> show_number(0.46461538), show_number(1234567), show_number(None)
        ('0.4646', '1,234,567', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def as_number(value: object) -> float | None:
    """Return a finite number as it is, and None for everything else.

    Args:
        value: What a JSON file holds.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None
