"""The name tables of this room: one line here per choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._registry import Registry

if TYPE_CHECKING:
    from ._groups import Block
    from ._schedule import Schedule

_HERE = "cotune.schedules"

SCHEDULES: Registry[Callable[..., Schedule]] = Registry(
    "schedule", {"coto": f"{_HERE}._coto:CoTo"}
)
"""Schedules by recipe name."""

SHAPES: Registry[Callable[[float], float]] = Registry(
    "shape",
    {
        "linear": f"{_HERE}._shapes:linear",
        "sine": f"{_HERE}._shapes:sine",
        "exponential": f"{_HERE}._shapes:exponential",
        "constant": f"{_HERE}._shapes:constant",
    },
)
"""How p grows in stage 1: the share of it that is done -> the share of the way up."""

DEPTHS: Registry[Callable[[float, float], float]] = Registry(
    "depth rule",
    {
        "uniform": f"{_HERE}._depths:uniform",
        "high": f"{_HERE}._depths:drop_high",
        "low": f"{_HERE}._depths:drop_low",
    },
)
"""Which layers are dropped more: (p, depth in [0, 1]) -> p at that depth."""

GROUPINGS: Registry[Callable[[Sequence[Block]], dict[str, list[Block]]]] = Registry(
    "grouping",
    {
        "block": f"{_HERE}._groups:by_block",
        "module": f"{_HERE}._groups:by_module",
        "third": f"{_HERE}._groups:by_third",
    },
)
"""Which layers are switched together."""

EMPTY_RULES = ("force_one", "resample")
"""What is done with a draw that would switch everything off."""
