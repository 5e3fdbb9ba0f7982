"""When an adapter is active: schedules, the switch that obeys them, one callback.

A schedule is orthogonal to the method. It works on cotune's layers and on PEFT's own.
Everything is imported on first use: a recipe can be read without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._callback import CoToCallback
    from ._coto import CoTo
    from ._groups import Group, block_of, group_layers
    from ._originals import keep_base
    from ._record import ActivationRecord
    from ._schedule import Schedule
    from ._spec import ScheduleSpec
    from ._switch import Switch
    from ._tables import DEPTHS, EMPTY_RULES, GROUPINGS, SCHEDULES, SHAPES

_PUBLIC = {
    "DEPTHS": "_tables",
    "EMPTY_RULES": "_tables",
    "GROUPINGS": "_tables",
    "SCHEDULES": "_tables",
    "SHAPES": "_tables",
    "ActivationRecord": "_record",
    "CoTo": "_coto",
    "CoToCallback": "_callback",
    "Group": "_groups",
    "Schedule": "_schedule",
    "ScheduleSpec": "_spec",
    "Switch": "_switch",
    "block_of": "_groups",
    "group_layers": "_groups",
    "keep_base": "_originals",
}

__all__ = [
    "DEPTHS",
    "EMPTY_RULES",
    "GROUPINGS",
    "SCHEDULES",
    "SHAPES",
    "ActivationRecord",
    "CoTo",
    "CoToCallback",
    "Group",
    "Schedule",
    "ScheduleSpec",
    "Switch",
    "block_of",
    "group_layers",
    "keep_base",
]


__getattr__, __dir__ = lazy(__name__, _PUBLIC)
