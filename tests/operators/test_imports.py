"""Importing the operators loads no heavy package."""

import pytest

from helpers import run_python

CODE = """
import json, sys
import cotune.operators.merge, cotune.operators.prune
heavy = ["scipy", "sklearn", "peft", "transformers", "datasets"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


@pytest.mark.slow
def test_importing_the_operators_loads_no_heavy_package():
    assert run_python(CODE) == []
