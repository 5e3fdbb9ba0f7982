"""Starts of PEFT that change the base: off is the original function, or refused."""

from __future__ import annotations

import peft
import pytest
import torch
from peft import LoraConfig

from cotune._errors import ConfigError
from cotune.schedules import Switch, keep_base
from helpers import logits
from schedules.models import (
    CHANGING_FORMS,
    TARGETS,
    adapted,
    base_model,
    batch,
    gradients,
    lora_config,
    method_config,
    only,
)


@pytest.mark.parametrize("form", CHANGING_FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_off_is_the_original_function_bit_for_bit(form, dtype):
    base = base_model(dtype=dtype)
    before = logits(base, batch())
    model, originals = adapted(lora_config(**CHANGING_FORMS[form]), base)
    switch = Switch(model, originals=originals)
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), before)
    assert not torch.equal(logits(model, batch()), before)


@pytest.mark.parametrize("form", CHANGING_FORMS)
def test_the_backward_pass_of_a_layer_that_is_off_goes_through_the_original_weight(
    form,
):
    model, originals = adapted(lora_config(**CHANGING_FORMS[form]))
    switch = Switch(model, originals=originals)
    with switch.applied(only(switch, 0)):
        model(**batch()).loss.backward()
    got = gradients(model)
    # The same function, built without any switch: original weights above block 0.
    model.zero_grad()
    for name, module in model.named_modules():
        key = name.removeprefix("base_model.model.")
        if key in originals and any(t in key for t in TARGETS) and ".0." not in key:
            module.base_layer.weight.data = originals[key].clone()
            module._disable_adapters = True
    model(**batch()).loss.backward()
    want = {name: value for name, value in gradients(model).items() if ".0." in name}
    assert list(got) == list(want)
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-6)


def test_switching_leaves_the_weights_that_peft_made_where_they_were():
    model, originals = adapted(lora_config(init_lora_weights="pissa"))
    before = {name: (p, p.detach().clone()) for name, p in model.named_parameters()}
    switch = Switch(model, originals=originals)
    with switch.applied(only(switch, 1)):
        model(**batch())
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    for name, (parameter, value) in before.items():
        assert after[name] is parameter and torch.equal(parameter, value)


@pytest.mark.parametrize("form", CHANGING_FORMS)
def test_a_changed_base_without_originals_is_refused_with_the_way_out(form):
    model, _ = adapted(lora_config(**CHANGING_FORMS[form]))
    with pytest.raises(ConfigError, match=r"'default' with init_lora_weights") as error:
        Switch(model)
    assert "keep_base(model)" in str(error.value)
    assert "start='pissa'" in str(error.value)


def test_a_variant_that_cuts_the_base_weight_is_a_changed_base_too():
    config = getattr(peft.tuners.lora.config, "KasaConfig", None)
    if config is None:
        pytest.skip("this version of PEFT has no KaSA")
    before = logits(base_model(), batch())
    model, originals = adapted(lora_config(kasa_config=config()))
    with pytest.raises(ConfigError, match="'default' with kasa_config"):
        Switch(model)
    switch = Switch(model, originals=originals)
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), before)


def test_the_start_is_found_after_add_adapter_too():
    base = base_model()
    base.add_adapter(LoraConfig(target_modules=TARGETS, init_lora_weights="olora"))
    with pytest.raises(ConfigError, match="changed base: adapter 'default'"):
        Switch(base)


def test_a_start_of_ours_needs_no_originals():
    before = logits(base_model(), batch())
    model, _ = adapted(method_config("cola", start="pissa"))
    switch = Switch(model)
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), before)


def test_originals_of_another_model_are_refused():
    model, originals = adapted(lora_config(init_lora_weights="pissa"))
    with pytest.raises(ConfigError, match=r"must hold the weight.*got nothing"):
        Switch(model, originals={})
    wrong = {name: weight[:, :3] for name, weight in originals.items()}
    with pytest.raises(ConfigError, match=r"got shape \(16, 3\)"):
        Switch(model, originals=wrong)


def test_keep_base_copies_and_refuses_a_model_with_adapters():
    base = base_model()
    kept = keep_base(base)
    weight = base.get_submodule("model.layers.0.self_attn.q_proj").weight
    copy = kept["model.layers.0.self_attn.q_proj"]
    assert torch.equal(copy, weight) and copy.data_ptr() != weight.data_ptr()
    model, _ = adapted(lora_config(), base)
    with pytest.raises(ConfigError, match="before PEFT"):
        keep_base(model)
