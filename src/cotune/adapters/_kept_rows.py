"""Rows of frozen tasks: no optimizer can change them, and files hold them.

A factor has one tensor for all tasks, so freezing some of its rows needs more than
``requires_grad``: weight decay and momentum change rows without a gradient too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from ._layer import CollaborativeLayer

KeptRows = dict[str, tuple[Tensor, Tensor]]
"""Parameter -> (which rows are trained, (T, 1, ...); the values of all rows)."""


def save_kept_rows(
    module: CollaborativeLayer, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    """Put rows as they were kept into a state dict, whatever the optimizer did."""
    for adapter, kept in module.kept_rows.items():
        for factor in kept:
            value = module.factor(factor.removeprefix("cotune_"), adapter)
            assert value is not None
            state[f"{prefix}{factor}.{adapter}"] = value.detach()


def load_kept_rows(
    module: CollaborativeLayer, state: Mapping[str, Any], prefix: str, *rest: Any
) -> None:
    """Keep what is loaded from now on: else it would be loaded and not count."""
    for adapter, kept in module.kept_rows.items():
        for factor, (live, rows) in kept.items():
            loaded = state.get(f"{prefix}{factor}.{adapter}")
            if loaded is not None and loaded.shape == rows.shape:
                kept[factor] = (live, loaded.detach().to(rows, copy=True))
