"""THE TABLE of prune operators."""

from __future__ import annotations

from collections.abc import Callable

from ..._registry import Registry
from ._result import PruneResult

_HERE = "cotune.operators.prune"

PRUNE: Registry[Callable[..., PruneResult]] = Registry(
    "prune operator",
    {
        "every_other": f"{_HERE}._every_other:every_other",
        "low": f"{_HERE}._third:low",
        "middle": f"{_HERE}._third:middle",
        "high": f"{_HERE}._third:high",
        "keep": f"{_HERE}._keep:keep",
        "magnitude": f"{_HERE}._magnitude:magnitude",
        "by_contribution": f"{_HERE}._by_contribution:by_contribution",
    },
)
"""Name -> ``f(adapter, *, options) -> PruneResult``; options are the recipe keys."""
