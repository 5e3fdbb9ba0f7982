"""Adapters on disk: a layer is read when it is taken, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from peft import get_peft_model
from torch import nn

from cotune import CoTuneConfig, read_adapter


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)


def test_whether_a_layer_is_there_is_known_without_reading_it(tmp_path: Path) -> None:
    config = CoTuneConfig(r=2, target_modules=["first"])
    get_peft_model(Tiny(), config).save_pretrained(tmp_path)
    layers = read_adapter(tmp_path).layers
    (name,) = layers
    (tmp_path / "adapter_model.safetensors").unlink()
    assert name in layers
    assert "second" not in layers
    with pytest.raises(FileNotFoundError):
        layers[name]
