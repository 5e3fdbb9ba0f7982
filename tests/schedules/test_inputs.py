"""No backward pass below the lowest active block, with and without checkpointing."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cotune.schedules import Switch
from cotune.schedules._inputs import checkpointing_of, free_inputs, has_forced_inputs
from schedules.models import (
    LAYERS,
    adapted,
    base_model,
    batch,
    gradients,
    lora_config,
    method_config,
    only,
    quiet,
)

CONFIGS = {"lora": lambda **kw: method_config("lora", **kw), "peft": lora_config}
KINDS = {"plain": False, "reentrant": True}


def flops(model) -> int:
    """Count the operations of a forward and backward pass, exactly."""
    model.zero_grad()
    with FlopCounterMode(display=False) as counter:
        model(**batch()).loss.backward()
    return counter.get_total_flops()


def checkpointed(config, kind: str):
    model, _ = adapted(config)
    with quiet():
        model.base_model.model.activation_checkpointing_enable(
            {"use_reentrant": KINDS[kind]}
        )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("lowest", range(LAYERS))
def test_a_masked_step_costs_what_a_model_without_the_other_adapters_costs(
    name, lowest
):
    model, _ = adapted(CONFIGS[name]())
    switch = Switch(model)
    on = [lowest, LAYERS - 1]
    with switch.applied(only(switch, *on)):
        masked = flops(model)
    alone, _ = adapted(CONFIGS[name](layers_to_transform=on))
    assert masked == flops(alone)
    assert masked < flops(model)


def test_the_backward_pass_stops_at_the_lowest_active_block():
    model, _ = adapted(lora_config())
    switch = Switch(model)
    seen = []

    def watch(place: int):
        def hook(module, args, output):
            seen.append((place, output.requires_grad))

        return hook

    for place in range(LAYERS):
        block = model.get_submodule(f"base_model.model.model.layers.{place}")
        block.register_forward_hook(watch(place))
    with switch.applied(only(switch, 2)):
        model(**batch())
    assert seen == [(0, False), (1, False), (2, True), (3, True)]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_gives_the_same_gradients(name, kind):
    plain, _ = adapted(CONFIGS[name]())
    model = checkpointed(CONFIGS[name](), kind)
    for on in ((1, 3), (0, 2), (2,)):
        found = []
        for each in (plain, model):
            each.zero_grad()
            switch = Switch(each)
            with switch.applied(only(switch, *on)):
                each(**batch()).loss.backward()
            found.append(gradients(each))
        assert list(found[0]) == list(found[1])
        for key, value in found[0].items():
            torch.testing.assert_close(found[1][key], value, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_plain_checkpointing_loses_nothing_once_the_inputs_are_free(name):
    model = checkpointed(CONFIGS[name](), "plain")
    alone = checkpointed(CONFIGS[name](layers_to_transform=[2, 3]), "plain")
    alone.base_model.model.disable_input_require_grads()
    switch = Switch(model)
    assert has_forced_inputs(model)
    with switch.applied(only(switch, 2, 3)):
        forced = flops(model)
        want = gradients(model)
        handles = free_inputs(model)
        freed = flops(model)
    assert freed == flops(alone) < forced
    got = gradients(model)
    assert list(got) == list(want)
    assert all(torch.equal(got[key], want[key]) for key in want)
    for handle in handles:
        handle.remove()
    with switch.applied(only(switch, 2, 3)):
        assert flops(model) == forced


def test_inputs_are_left_alone_where_something_needs_their_gradient():
    assert free_inputs(checkpointed(lora_config(), "reentrant")) == []
    without, _ = adapted(lora_config())
    without.base_model.model.enable_input_require_grads()
    assert has_forced_inputs(without) and free_inputs(without) == []
    tokens = checkpointed(lora_config(trainable_token_indices=[3]), "plain")
    assert free_inputs(tokens) == []


def test_the_kind_of_checkpointing_is_recognised():
    assert checkpointing_of(base_model()) == "none"
    for kind in KINDS:
        assert checkpointing_of(checkpointed(lora_config(), kind)) == kind


def test_in_evaluation_mode_the_inputs_keep_their_gradient():
    model = checkpointed(lora_config(), "plain").eval()
    (handle,) = free_inputs(model)
    embed = model.get_input_embeddings()
    assert embed(torch.tensor([1])).requires_grad
    model.train()
    assert not embed(torch.tensor([1])).requires_grad
    handle.remove()
