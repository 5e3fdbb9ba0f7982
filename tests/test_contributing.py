"""The worked example in CONTRIBUTING.md, run as it is printed."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from peft import get_peft_model

from cotune import CoTuneConfig
from cotune.adapters import COUPLINGS, CollaborativeLayer

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def printed(marker: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if marker in block)


@pytest.fixture
def with_the_new_coupling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the printed file into the package, and the printed line into the table."""
    name = "cotune.adapters._coupling._ring"
    file = tmp_path / "_ring.py"
    file.write_text(printed("class Ring"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    _HERE = "cotune.adapters._coupling"
    line = eval(f"{{{printed('_ring:Ring')}}}", {"_HERE": _HERE})
    monkeypatch.setattr(COUPLINGS, "_targets", {**COUPLINGS._targets, **line})


@pytest.mark.usefixtures("with_the_new_coupling")
def test_a_new_coupling_is_one_file_and_one_line() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5))
    config = CoTuneConfig(
        r=2, num_A=3, num_B=3, coupling="ring", target_modules=["0"], init_weights=False
    )
    x = torch.randn(4, 6)
    base = model(x)
    adapted = get_peft_model(model, config)
    layer = adapted.base_model.model[0]
    assert isinstance(layer, CollaborativeLayer)
    factors = layer.factors("default")
    expected = base + factors.scale * sum(
        x @ factors.A[i].T @ factors.B[(i + k) % 3].T for i in range(3) for k in (0, 1)
    )
    torch.testing.assert_close(adapted(x), expected)
    adapted.merge_adapter()
    torch.testing.assert_close(adapted(x), expected)
