"""Importing the operators loads no heavy package."""

from helpers import run_python

CODE = """
import json, sys
import cotune.operators.merge, cotune.operators.prune
heavy = ["scipy", "sklearn", "peft", "transformers", "datasets"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def test_importing_the_operators_loads_no_heavy_package():
    assert run_python(CODE) == []
