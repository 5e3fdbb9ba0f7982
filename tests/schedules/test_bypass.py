"""Every tuner in the list can be switched; every other one is refused clearly."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import nn

from cotune import METHODS
from cotune._errors import ConfigError
from cotune.schedules import Switch
from cotune.schedules._bypass import BYPASSED, switch
from helpers import logits
from schedules.models import (
    LORA_FORMS,
    TARGETS,
    TUNERS,
    adapted,
    base_model,
    batch,
    gradients,
    lora_config,
    method_config,
    only,
    quiet,
    tasks_for,
    tuner_config,
)

KNOWN = {str(kind.value).lower() for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
"""Tuners of the installed PEFT; the list covers all versions that cotune allows."""

CONFIGS = {
    **{f"method-{name}": lambda name=name: method_config(name) for name in METHODS},
    **{
        f"form-{name}": lambda fields=fields: lora_config(**fields)
        for name, fields in LORA_FORMS.items()
    },
    "tuner-hira": lambda: tuner_config("hira"),
}
OTHERS = {
    f"tuner-{name}": lambda name=name: tuner_config(name)
    for name in TUNERS
    if name in KNOWN and name not in ("lora", "hira")
}
ALL = [*CONFIGS, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]


@pytest.fixture(scope="module")
def plain_logits() -> torch.Tensor:
    return logits(base_model(), batch())


def test_every_tuner_in_the_list_is_tested_here():
    assert set(TUNERS) == set(BYPASSED)


@pytest.mark.parametrize("name", ALL)
def test_off_is_the_base_and_only_what_is_on_gets_gradients(name, plain_logits):
    config = {**CONFIGS, **OTHERS}[name]()
    model, _ = adapted(config)
    inputs = {**batch(), **tasks_for(config)}
    switch = Switch(model)
    with switch.applied(only(switch)):
        output = model(**inputs)
    assert torch.equal(output.logits, plain_logits)
    assert not output.logits.requires_grad
    with switch.applied(only(switch, 1, 3)):
        model(**inputs).loss.backward()
    for place, group in enumerate(switch.groups):
        on = [factor.grad is not None for factor in switch.factors(group.name)]
        assert on and set(on) == {place in (1, 3)}


@pytest.mark.parametrize("name", ALL)
def test_in_evaluation_mode_a_mask_has_no_effect_and_afterwards_nothing_is_left(name):
    config = {**CONFIGS, **OTHERS}[name]()
    model, _ = adapted(config)
    inputs = {**batch(), **tasks_for(config)}
    model.eval()
    before = logits(model, inputs)
    switch = Switch(model)
    with switch.applied(only(switch, 0)):
        assert torch.equal(logits(model, inputs), before)
    for module in model.modules():
        hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        assert not any("_Bypass" in str(hook) for hook in hooks)
        assert not [key for key in module.__dict__ if key.startswith("_cotune_bypass")]
        assert not getattr(module, "switched_off", False)


REFUSED = {
    "adalora": ("AdaLoraConfig", {"total_step": 10}, "ranks its factors by"),
    "ln_tuning": (
        "LNTuningConfig",
        {"target_modules": ["input_layernorm"]},
        "no tested path",
    ),
    "vblora": (
        "VBLoRAConfig",
        {"vector_length": 8, "num_vectors": 16, "topk": 2},
        "no tested path",
    ),
    "lily": ("LilyConfig", {}, "got lily at .*q_proj"),
    "prompt": (
        "PromptTuningConfig",
        {"num_virtual_tokens": 2, "task_type": "CAUSAL_LM"},
        "must have adapter layers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_tuners_are_refused_with_a_reason(name):
    class_name, fields, words = REFUSED[name]
    if name != "prompt":
        fields = {"target_modules": TARGETS, **fields}
    model, _ = adapted(getattr(peft, class_name)(**fields))
    with pytest.raises(ConfigError, match=words):
        Switch(model)


def test_factors_shared_between_groups_are_refused():
    model, _ = adapted(lora_config())
    layers = [
        model.get_submodule(f"base_model.model.model.layers.{place}.mlp.up_proj")
        for place in (0, 2)
    ]
    layers[1].lora_A["default"].weight = layers[0].lora_A["default"].weight
    with pytest.raises(ConfigError, match=r"lora_A.* in model\.layers\.0 and"):
        Switch(model)


def test_trained_biases_of_the_base_are_refused():
    model, _ = adapted(lora_config(bias="all"), base_model(attention_bias=True))
    with pytest.raises(ConfigError, match=r"base layer of .*q_proj must be frozen"):
        Switch(model)


def test_an_error_in_the_base_layer_leaves_the_layer_as_it_was():
    model, _ = adapted(lora_config())
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    switch(layer, on=False)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        layer(torch.zeros(1, 7))
    assert layer.disable_adapters is False


def test_switching_twice_is_switching_once():
    model, _ = adapted(lora_config())
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    for _ in range(3):
        switch(layer, on=False)
    assert len(layer._forward_hooks) == len(layer._forward_pre_hooks) == 1
    for _ in range(2):
        switch(layer, on=True)
    assert not layer._forward_hooks and not layer._forward_pre_hooks


def test_disabling_adapters_in_between_does_not_end_a_mask(plain_logits):
    # Preference training does this for its reference model, within one step.
    model, _ = adapted(lora_config())
    model.train()
    switch = Switch(model)
    with switch.applied(only(switch, 2)):
        masked = logits(model, batch())
        with model.disable_adapter():
            assert torch.equal(logits(model, batch()), plain_logits)
            # Also in evaluation, after a masked call has put things back.
            assert torch.equal(logits(model.eval(), batch()), plain_logits)
            model.train()
        assert torch.equal(logits(model, batch()), masked)


def test_a_copy_of_a_switched_model_is_switched_by_itself(plain_logits):
    model, _ = adapted(lora_config())
    switch = Switch(model)
    full = logits(model, batch())
    switch.set(only(switch))
    twin = copy.deepcopy(model)
    switch.clear()
    assert torch.equal(logits(model, batch()), full)
    assert torch.equal(logits(twin, batch()), plain_logits)
    Switch(twin)
    assert torch.equal(logits(twin, batch()), full)


def test_a_merged_layer_is_not_bypassed():
    model, _ = adapted(lora_config())
    with quiet():
        model.merge_adapter()
    merged = logits(model, batch())
    switch = Switch(model)
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), merged)
    assert all(m.merged for m in model.modules() if hasattr(m, "merged_adapters"))


def test_a_layer_that_wraps_its_parts_is_one_with_them():
    # PEFT computes an attention module and its output projection in one call.
    torch.manual_seed(0)
    base = nn.ModuleDict({str(i): nn.MultiheadAttention(8, 2) for i in range(2)})
    model = peft.inject_adapter_in_model(
        peft.LoraConfig(target_modules=["0", "1"], r=2, init_lora_weights=False), base
    ).train()
    x = torch.randn(3, 1, 8)
    switch = Switch(model, by="module")
    assert [group.layers for group in switch.groups] == [("0",), ("1",)]
    on = model["0"](x, x, x)[0]
    with switch.applied({"0": False, "1": True}):
        off = model["0"](x, x, x)[0]
    with torch.no_grad():
        plain = model["0"].base_layer(x, x, x)[0]
    assert torch.equal(off, plain) and not off.requires_grad
    assert not torch.equal(on, off)
    assert gradients(model) == {}
