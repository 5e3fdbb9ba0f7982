"""THE TABLE of merge operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._registry import Registry

_HERE = "cotune.operators.merge"

MERGE: Registry[Callable[..., Any]] = Registry(
    "merge operator",
    {
        "fuse": f"{_HERE}._fuse:fuse",
        "mix": f"{_HERE}._mix:mix",
        "ties": f"{_HERE}._ties:ties",
        "dare": f"{_HERE}._dare:dare",
        "lego": f"{_HERE}._lego:lego",
        "align": f"{_HERE}._align:align",
        "knots": f"{_HERE}._knots:knots",
    },
)
"""Name -> ``f(updates, weights, *, options) -> LowRank or dense (d_out, d_in)``.

Keyword-only arguments are the recipe keys, but for ``generator`` and ``rank``, which
``merge_adapters`` hands on.
"""
