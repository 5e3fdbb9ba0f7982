"""Which layers are adapted: names, patterns, blocks, tied heads, odd layers."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from adapters.models import adapted, close, config_of
from cotune import CoTuneConfig, use_tasks
from cotune._errors import ConfigError
from cotune.adapters import CollaborativeLayer
from helpers import (
    FAMILIES,
    TARGETS,
    fill_factors,
    logits,
    tiny_batch,
    tiny_model,
)


def adapted_names(model: nn.Module) -> list[str]:
    return [
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if isinstance(module, CollaborativeLayer)
    ]


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_without_targets_the_usual_layers_of_the_family_are_taken(family: str) -> None:
    usual = adapted_names(adapted("lora", family, target_modules=None))
    theirs = get_peft_model(tiny_model(family), LoraConfig(), "default")
    names = [
        name.removeprefix("base_model.model.")
        for name, module in theirs.named_modules()
        if hasattr(module, "lora_A")
    ]
    assert usual == names and usual


def test_block_0_alone_can_be_adapted() -> None:
    for blocks in (0, [0]):
        names = adapted_names(adapted("cola", layers_to_transform=blocks))
        assert names == [f"model.layers.0.self_attn.{n}" for n in TARGETS["llama"]]
    names = adapted_names(
        adapted("cola", "gpt2", layers_to_transform=[1], layers_pattern="h")
    )
    assert names and all(".h.1." in name for name in names)


def test_excluded_modules_are_left_out() -> None:
    for excluded in (["v_proj"], r".*\.v_proj"):
        names = adapted_names(adapted("cola", exclude_modules=excluded))
        assert names and all(name.endswith("q_proj") for name in names)


def test_a_regex_of_target_modules_works() -> None:
    names = adapted_names(adapted("cola", target_modules=r".*layers\.1\..*up_proj"))
    assert names == ["model.layers.1.mlp.up_proj"]


def test_blocks_cannot_be_chosen_beside_a_string_which_would_ignore_them() -> None:
    for targets in (".*q_proj", "all-linear"):
        with pytest.raises(ConfigError, match="layers_to_transform: needs a list of"):
            CoTuneConfig(target_modules=targets, layers_to_transform=0)
        with pytest.raises(ConfigError, match="layers_pattern: needs a list of"):
            CoTuneConfig(target_modules=targets, layers_pattern="h")
    with pytest.raises(ConfigError, match="layers_pattern: needs layers_to_transform"):
        CoTuneConfig(target_modules=["q_proj"], layers_pattern="h")


def test_all_linear_leaves_the_head_out() -> None:
    names = adapted_names(adapted("cola", target_modules="all-linear"))
    assert len(names) == 14 and not any("lm_head" in name for name in names)


def test_unknown_target_modules_are_refused() -> None:
    with pytest.raises(ValueError, match="not found in the base model"):
        adapted("cola", target_modules=["query_proj"])


@pytest.mark.parametrize("family", ["gpt2", "t5", "opt"])
def test_a_tied_head_is_adapted_without_touching_the_embedding(family: str) -> None:
    with pytest.warns(UserWarning, match="no implementation exists to tie"):
        model = adapted("cola", family, target_modules=["lm_head"], task_type=None)
    base = model.get_base_model()
    batch = tiny_batch(family)
    plain = tiny_model(family)
    assert base.lm_head.base_layer.weight is base.get_input_embeddings().weight
    assert not close(logits(model, batch), logits(plain, batch), 1e-3)
    with model.disable_adapter():
        assert torch.equal(logits(model, batch), logits(plain, batch))


def test_a_custom_layer_with_features_is_adapted_in_a_whole_model() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_features, self.out_features = 16, 16
            self.kernel = nn.Parameter(torch.eye(16))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.kernel

    base = tiny_model("llama")
    for block in base.model.layers:
        block.self_attn.q_proj = Odd()
    batch = tiny_batch("llama")
    wanted = logits(base, batch)
    config = config_of("colora", "llama", target_modules=["q_proj"])
    model = get_peft_model(base, config)
    assert close(logits(model, batch, tasks="art"), wanted, 1e-6)
    fill_factors(model)
    assert not close(logits(model, batch, tasks="art"), wanted, 1e-3)
    with (
        pytest.raises(ConfigError, match="Export to plain LoRA instead"),
        use_tasks(model, "art"),
    ):
        model.merge_adapter()
