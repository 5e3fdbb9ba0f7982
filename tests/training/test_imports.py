"""What is imported only when it is needed."""

import pytest

from helpers import run_python

CODE = """
import json, sys
import cotune.training as room

def loaded(*names):
    return sorted(set(names) & set(sys.modules))

first = loaded("torch", "transformers", "peft", "datasets")
missing = [name for name in room.__all__ if not hasattr(room, name)]
print(json.dumps([first, missing, loaded("lm_eval", "trl", "tensorboard")]))
"""


@pytest.mark.slow
def test_the_room_loads_nothing_heavy_before_it_is_used_and_extras_never():
    heavy, missing, extras = run_python(CODE)
    assert heavy == [] and missing == [] and extras == []
