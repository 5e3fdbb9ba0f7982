"""Reading a recipe's schedule loads nothing heavy."""

from __future__ import annotations

import cotune.schedules
from helpers import run_python

HEAVY = ["torch", "peft", "transformers", "numpy"]


def test_a_schedule_can_be_read_and_drawn_without_torch():
    loaded = run_python(
        "import json, sys\n"
        "from cotune.schedules import CoTo, ScheduleSpec, group_layers\n"
        "groups = group_layers(['layers.0.q', 'layers.1.q'])\n"
        "ScheduleSpec().build(seed=1).mask(0, 10, groups)\n"
        f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    assert loaded == []


def test_every_public_name_can_be_imported_and_an_unknown_one_cannot():
    for name in cotune.schedules.__all__:
        assert getattr(cotune.schedules, name) is not None
    assert set(cotune.schedules.__all__) <= set(dir(cotune.schedules))
    assert not hasattr(cotune.schedules, "CoTwo")
