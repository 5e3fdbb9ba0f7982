"""THE TABLE of analyses."""

from __future__ import annotations

from collections.abc import Callable

from .._registry import Registry
from ._result import Result

_HERE = "cotune.analysis"

ANALYSES: Registry[Callable[..., Result]] = Registry(
    "analysis",
    {
        "similarity": f"{_HERE}._similarity:similarity",
        "connectivity": f"{_HERE}._connectivity:connectivity",
        "stability": f"{_HERE}._stability:stability",
        "fusion-gap": f"{_HERE}._fusion_gap:fusion_gap",
        "contribution": f"{_HERE}.contribution:contribution",
        "change": f"{_HERE}._change:change_from_start",
        "conflict": f"{_HERE}._conflict:conflict",
        "affinity": f"{_HERE}._affinity:affinity",
        "sharing": f"{_HERE}._sharing:sharing",
        "pruning": f"{_HERE}._pruning:pruning",
        "merging": f"{_HERE}._merging:merging",
    },
)
"""Name -> function that returns a :class:`Result`; what it needs is its signature."""
