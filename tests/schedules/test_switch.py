"""Check T2, and what the switch accepts."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import peft
import pytest
import torch
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM

from cotune import METHODS
from cotune._errors import ConfigError
from cotune.schedules import GROUPINGS, CoTo, Switch
from helpers import logits, run_python
from schedules.models import (
    TARGETS,
    adapted,
    base_model,
    batch,
    gradients,
    lora_config,
    method_config,
    only,
    same,
    tasks_for,
    trained,
)

CONFIGS = {
    **{name: lambda name=name: method_config(name) for name in METHODS},
    "peft-lora": lora_config,
    "peft-dora": lambda: lora_config(use_dora=True),
}


def step(model, optimizer, inputs, *, set_to_none=True, penalty=False, switch=None):
    optimizer.zero_grad(set_to_none=set_to_none)
    loss = model(**inputs).loss
    if penalty:
        loss = loss + sum(p.square().sum() for p in model.parameters())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    if switch is not None:
        switch.drop_gradients()
    optimizer.step()


def state_of(optimizer, factors):
    return [copy.deepcopy(optimizer.state[factor]) for factor in factors]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("trouble", ["none", "zeros", "penalty"])
def test_t2_a_step_leaves_weights_moments_and_counters_of_what_is_off_untouched(
    name, trouble
):
    config = CONFIGS[name]()
    model, _ = adapted(config)
    inputs = {**batch(), **tasks_for(config)}
    switch = Switch(model)
    chosen = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(chosen, lr=0.1, weight_decay=0.5)
    for _ in range(2):
        step(model, optimizer, inputs)
    off, on = (switch.factors(switch.groups[place].name) for place in (1, 2))
    before = {str(i): p.detach().clone() for i, p in enumerate(off)}
    moments = state_of(optimizer, off)
    on_before = [p.detach().clone() for p in on]
    with switch.applied(only(switch, 0, 2, 3)):
        step(
            model,
            optimizer,
            inputs,
            set_to_none=trouble != "zeros",
            penalty=trouble == "penalty",
            switch=switch,
        )
    assert all(factor.grad is None for factor in off)
    assert same({str(i): p.detach() for i, p in enumerate(off)}, before)
    for kept, state in zip(moments, state_of(optimizer, off), strict=True):
        assert kept["step"] == state["step"] == 2
        assert same(kept, state)
    assert all(not torch.equal(p, q) for p, q in zip(on, on_before, strict=True))
    assert all(optimizer.state[factor]["step"] == 3 for factor in on)


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("name", ["cola", "peft-lora"])
def test_t3_a_mask_holds_for_all_layers_of_a_group(by, name):
    model, _ = adapted(CONFIGS[name]())
    switch = Switch(model, by)
    mask = only(switch, 0)
    with switch.applied(mask):
        model(**batch()).loss.backward()
    got = gradients(model)
    for group in switch.groups:
        for layer in group.layers:
            assert any(layer in key for key in got) == mask[group.name]


def test_accumulated_gradients_are_those_of_the_micro_batches():
    model, _ = adapted(method_config("lora"))
    switch = Switch(model)
    whole = batch(4)
    with switch.applied(only(switch, 1, 2)):
        model(**whole).loss.backward()
        want = gradients(model)
        model.zero_grad()
        for rows in (slice(0, 2), slice(2, 4)):
            (model(**{k: v[rows] for k, v in whole.items()}).loss / 2).backward()
    got = gradients(model)
    assert list(got) == list(want)
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["colora", "dual", "mtl"])
def test_a_mixed_task_batch_is_masked_like_its_parts(name):
    config = method_config(name)
    model, _ = adapted(config)
    inputs, tasks = batch(3), tasks_for(config, 3)["tasks"]
    switch = Switch(model)
    with switch.applied(only(switch, 1)):
        mixed = logits(model, inputs, tasks=tasks)
        for row, task in enumerate(tasks):
            part = {key: value[row : row + 1] for key, value in inputs.items()}
            alone = logits(model, part, tasks=[task])
            torch.testing.assert_close(alone, mixed[row : row + 1], rtol=0, atol=1e-5)


def test_all_on_is_bit_equal_to_no_switch():
    # Check T4 for one step; through a trainer in test_callback.
    for config in (method_config("cola"), lora_config()):
        model, _ = adapted(config)
        model(**batch()).loss.backward()
        want = gradients(model)
        model.zero_grad()
        switch = Switch(model)
        with switch.applied(CoTo().mask(75, 100, switch.groups)):
            model(**batch()).loss.backward()
        assert same(gradients(model), want)


def test_a_new_switch_ends_what_an_old_one_left():
    for config in (method_config("lora"), lora_config()):
        model, _ = adapted(config)
        full = logits(model, batch())
        old = Switch(model)
        old.set(only(old, 0))
        assert not torch.equal(logits(model, batch()), full)
        Switch(model)
        assert torch.equal(logits(model, batch()), full)


def test_an_error_inside_the_block_switches_everything_on_again():
    model, _ = adapted(lora_config())
    full = logits(model, batch())
    switch = Switch(model)
    with pytest.raises(RuntimeError, match="stop"), switch.applied(only(switch, 0)):
        raise RuntimeError("stop")
    assert torch.equal(logits(model, batch()), full)


def test_our_layers_and_pefts_can_be_in_one_model():
    base = base_model()
    before = logits(base, batch())
    model, _ = adapted(lora_config(target_modules=["q_proj"]), base)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        peft.inject_adapter_in_model(
            method_config("lora", target_modules=["up_proj"]), model, "second"
        )
    model.train()
    switch = Switch(model)
    assert [len(group.layers) for group in switch.groups] == [2, 2, 2, 2]
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), before)


def test_saved_modules_and_trained_tokens_stay_on():
    model, _ = adapted(
        lora_config(modules_to_save=["lm_head"], trainable_token_indices=[3, 4])
    )
    switch = Switch(model)
    with switch.applied(only(switch, 3)):
        model(**batch()).loss.backward()
    got = gradients(model)
    assert any("lm_head" in name for name in got)
    assert any("trainable_tokens" in name for name in got)
    assert not any(f"layers.{place}." in name for name in got for place in (0, 1, 2))


def test_frozen_adapters_are_part_of_the_base():
    model, _ = adapted(lora_config())
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="trained factors"):
        Switch(model)


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
def test_other_families_are_grouped_by_their_blocks(family):
    from helpers import TARGETS as TARGETS_OF
    from helpers import tiny_batch, tiny_model

    config = method_config("lora", target_modules=TARGETS_OF[family])
    model, _ = adapted(config, tiny_model(family))
    switch = Switch(model)
    assert len(switch.groups) == (4 if family == "t5" else 2)
    with switch.applied(only(switch, 0)):
        model(**tiny_batch(family)).loss.backward()
    for place, group in enumerate(switch.groups):
        on = {factor.grad is not None for factor in switch.factors(group.name)}
        assert on == {place == 0}


def test_nested_wrappers_of_expert_weights_are_switched_with_their_block():
    shape = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 40,
        "num_local_experts": 4,
    }
    base = MixtralForCausalLM(MixtralConfig(**shape)).train()
    before = logits(base, batch())
    experts = ["experts.gate_up_proj", "experts.down_proj"]
    model, _ = adapted(lora_config(target_modules=[], target_parameters=experts), base)
    switch = Switch(model)
    assert [group.name for group in switch.groups] == [
        "model.layers.0",
        "model.layers.1",
    ]
    with switch.applied(only(switch)):
        assert torch.equal(logits(model, batch()), before)
    with switch.applied(only(switch, 1)):
        model(**batch()).loss.backward()
    assert len(gradients(model)) == 4
    assert all("layers.1.mlp.experts" in name for name in gradients(model))


def test_masks_that_do_not_fit_are_refused():
    model, _ = adapted(lora_config())
    switch = Switch(model)
    with pytest.raises(ConfigError, match=r"nothing for model\.layers\.3"):
        switch.set({f"model.layers.{place}": True for place in range(3)})
    with pytest.raises(ConfigError, match="Did you mean"):
        switch.set({**only(switch, 0), "model.layer.1": True})
    with pytest.raises(ConfigError, match="Unknown group"):
        switch.factors("model.layers.9")


def test_a_model_without_adapters_is_refused():
    with pytest.raises(ConfigError, match="got none in Linear"):
        Switch(nn.Linear(2, 2))


@pytest.mark.slow
def test_a_compiled_model_is_refused_for_pefts_layers_and_obeyed_by_ours():
    model, _ = adapted(lora_config())
    with pytest.raises(ConfigError, match="does not see hooks"):
        Switch(torch.compile(model, backend="eager"))
    model.get_submodule("base_model.model.model.layers.1").compile(backend="eager")
    with pytest.raises(ConfigError, match=r"compiled .*layers\.1"):
        Switch(model)
    ours, _ = adapted(method_config("lora"))
    assert len(Switch(torch.compile(ours, backend="eager")).groups) == 4


COMPILED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
from helpers import logits
from schedules.models import adapted, batch, method_config, only
from cotune.schedules import Switch

model, _ = adapted(method_config("lora"))
switch = Switch(model)
compiled = torch.compile(model, backend="eager")
far = []
for on in ((0, 1, 2, 3), (1,), (0, 1, 2, 3), (0, 3)):
    with switch.applied(only(switch, *on)):
        gap = logits(compiled, batch()) - logits(model, batch())
    far.append(float(gap.abs().max()))
print(json.dumps(far))
"""


@pytest.mark.slow
def test_a_compiled_model_of_ours_obeys_every_mask():
    # In a process of its own: the run-time type checks cannot be compiled.
    far = run_python(COMPILED, str(Path(__file__).parent.parent))
    assert len(far) == 4 and max(far) <= 1e-5


def test_trained_parameters_do_not_move_without_a_step():
    model, _ = adapted(lora_config(target_modules=TARGETS))
    before = trained(model)
    switch = Switch(model)
    with switch.applied(only(switch, 1)):
        model(**batch()).loss.backward()
    assert same(trained(model), before)
    assert all(p.requires_grad for p in switch.factors(switch.groups[0].name))
