"""THE TABLE of estimators of contributions."""

from __future__ import annotations

from collections.abc import Callable

from ..._registry import Registry
from ._game import Estimate

_HERE = "cotune.analysis.contribution"

ESTIMATORS: Registry[Callable[..., Estimate]] = Registry(
    "estimator",
    {
        "exact": f"{_HERE}._exact:exact",
        "quadrature": f"{_HERE}._quadrature:quadrature",
        "antithetic": f"{_HERE}._antithetic:antithetic",
    },
)
"""Name -> ``f(game, *, draws, nodes, generator) -> Estimate``, each with what it
needs."""
