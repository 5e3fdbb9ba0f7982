"""Adapters on disk: a layer is read when it is taken, and not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from torch import nn

from cotune import ConfigError, CoTuneConfig, read_adapter


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.words = nn.Embedding(5, 4)
        self.picture = nn.Conv2d(3, 4, 3)


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


@pytest.mark.filterwarnings("ignore:aLoRA is currently only supported")
@pytest.mark.filterwarnings("ignore:Adapter 'default'. 1 LoRA tensor")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "use_dora=true, which also rescales the base weight"),
        ({"lora_bias": True}, "lora_bias=true, which also trains a bias"),
        ({"init_lora_weights": "pissa"}, "='pissa', which changes the base weight"),
        ({"init_lora_weights": "olora"}, "='olora', which changes the base weight"),
        ({"alora_invocation_tokens": [1, 2]}, r"alora_invocation_tokens=\[1, 2\]"),
        ({"target_modules": ["first", "words"]}, "words.lora_embedding_A, which"),
        ({"target_modules": ["first", "picture"]}, "must be linear.*for picture"),
    ],
)
def test_a_lora_that_is_more_than_its_product_is_refused(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    config = LoraConfig(**{"r": 2, "target_modules": ["first"], **settings})
    get_peft_model(Tiny(), config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=said):
        read_adapter(tmp_path)


@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal"])
def test_a_lora_whose_start_leaves_the_base_alone_is_read(
    tmp_path: Path, start: bool | str
) -> None:
    config = LoraConfig(r=2, target_modules=["first"], init_lora_weights=start)  # type: ignore[arg-type]
    get_peft_model(Tiny(), config).save_pretrained(tmp_path)
    assert list(read_adapter(tmp_path).layers) == ["first"]
