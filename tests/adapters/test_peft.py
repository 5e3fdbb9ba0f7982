"""What PEFT's own users rely on, for every family of models."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from peft.tuners.lora.conversion import convert_to_lora
from torch import nn

from adapters.models import (
    PER_TASK,
    THREE_BANKS,
    adapted,
    close,
    config_of,
    grid,
    methods,
    with_three_banks,
)
from cotune import CoLAConfig, use_tasks
from cotune.adapters import METHODS, CollaborativeLayer
from helpers import (
    FAMILIES,
    factors_of,
    fill_factors,
    logits,
    tiny_batch,
    tiny_model,
)


def call(method: str) -> dict[str, Any]:
    return {"tasks": ["law", "art", "law", "bio"]} if method in PER_TASK else {}


def layers_of(model: nn.Module) -> list[CollaborativeLayer]:
    return [m for m in model.modules() if isinstance(m, CollaborativeLayer)]


# -- the first line of the README ------------------------------------------------------


def test_the_example_of_the_issue_works() -> None:
    config = CoLAConfig(
        r=8,
        lora_alpha=16,
        num_A=2,
        num_B=3,
        coupling="full",
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(tiny_model("llama"), config)
    model(**tiny_batch("llama")).loss.backward()
    assert len(layers_of(model)) == 14


@pytest.mark.parametrize(("method", "family"), grid())
def test_m1_a_new_adapter_leaves_the_model_as_it_was(method: str, family: str) -> None:
    batch = tiny_batch(family)
    wanted = logits(tiny_model(family), batch)
    model = adapted(method, family, filled=False, target_modules="all-linear")
    for training in (False, True):
        model.train(training)
        assert close(logits(model, batch, **call(method)), wanted, 1e-6)


@pytest.mark.parametrize(("method", "family"), grid())
def test_m1_disabling_gives_the_base_model_bit_for_bit(
    method: str, family: str
) -> None:
    batch = tiny_batch(family)
    wanted = logits(tiny_model(family), batch)
    model = adapted(method, family, target_modules="all-linear")
    changed = logits(model, batch, **call(method))
    with model.disable_adapter():
        assert torch.equal(logits(model, batch, **call(method)), wanted)
        assert torch.equal(logits(model, batch), wanted)
    assert torch.equal(logits(model, batch, **call(method)), changed)
    assert not close(changed, wanted, 1e-3)


@pytest.mark.parametrize(("method", "family"), grid())
def test_all_and_only_the_factors_are_trained(method: str, family: str) -> None:
    model = adapted(method, family, task_type=None, target_modules="all-linear")
    model.train()
    model(**tiny_batch(family), **call(method)).loss.backward()
    for name, parameter in model.named_parameters():
        copies = "cotune_A0" in name or "cotune_B0" in name
        wanted = "cotune_" in name and not copies
        assert parameter.requires_grad == wanted, name
        assert (parameter.grad is not None) == wanted, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_frozen_copies_of_a_start_stay_frozen_in_every_dtype(
    dtype: torch.dtype,
) -> None:
    base = tiny_model("llama", dtype=dtype)
    for autocast in (True, False):
        model = get_peft_model(
            copy.deepcopy(base),
            config_of("cola", "llama"),
            autocast_adapter_dtype=autocast,
        )
        copies = [p for n, p in factors_of(model) if "_A0" in n or "_B0" in n]
        assert len(copies) == 8
        assert not any(parameter.requires_grad for parameter in copies)
        model.base_model.set_adapter("default")
        assert not any(parameter.requires_grad for parameter in copies)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_inactive_adapter_is_frozen_in_every_dtype(dtype: torch.dtype) -> None:
    for autocast in (True, False):
        base = tiny_model("llama", dtype=dtype)
        model = get_peft_model(
            base, config_of("cola", "llama"), autocast_adapter_dtype=autocast
        )
        other = config_of("dual", "llama")
        model.add_adapter("other", other, autocast_adapter_dtype=autocast)
        trained = {
            n.rpartition(".")[2] for n, p in factors_of(model) if p.requires_grad
        }
        assert trained == {"default"}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "family"), grid())
def test_training_steps_lower_the_loss(method: str, family: str) -> None:
    batch = tiny_batch(family)
    model = adapted(method, family, filled=False).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.02)
    losses = []
    for _ in range(4):
        loss = model(**batch, **call(method)).loss
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 1e-3


# -- several adapters ------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_several_active_adapters_add_up(family: str) -> None:
    model = with_three_banks(family, task_type=None, target_modules="all-linear")
    layer = layers_of(model)[0]
    x = torch.randn(2, 3, layer.in_features)
    base = layer.base_layer(x)
    parts = []
    for name in THREE_BANKS:
        model.set_adapter(name)
        parts.append(layer(x) - base)
    model.base_model.set_adapter(THREE_BANKS)
    assert close(layer(x), base + sum(parts))
    assert model.active_adapters == THREE_BANKS


def test_names_that_contain_one_another_do_not_leak() -> None:
    model = with_three_banks()
    before = {name: p.detach().clone() for name, p in factors_of(model)}
    for active in THREE_BANKS:
        model.set_adapter(active)
        model.train()
        model(**tiny_batch("llama")).loss.backward()
        for name, parameter in factors_of(model):
            mine = name.endswith(f".{active}") and "0." not in name[-12:]
            assert parameter.requires_grad == mine, (active, name)
            assert (parameter.grad is not None) == mine, (active, name)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.step()
        model.zero_grad(set_to_none=True)
        changed = {
            name.rpartition(".")[2]
            for name, parameter in factors_of(model)
            if not torch.equal(parameter, before[name])
        }
        assert changed == {active}
        before = {name: p.detach().clone() for name, p in factors_of(model)}


@pytest.mark.parametrize("order", [THREE_BANKS, THREE_BANKS[::-1]])
def test_deleting_an_adapter_leaves_nothing_of_it(order: list[str]) -> None:
    model = with_three_banks(modules_to_save=["lm_head"])
    batch = tiny_batch("llama")
    wanted = {}
    for name in THREE_BANKS:
        model.set_adapter(name)
        wanted[name] = logits(model, batch)
    left = list(THREE_BANKS)
    for deleted in order:
        model.set_adapter(next(n for n in left if n != deleted or len(left) == 1))
        if len(left) > 1:
            model.delete_adapter(deleted)
            left.remove(deleted)
        for layer in layers_of(model):
            for attribute in (*layer.adapter_layer_names, *layer.other_param_names):
                assert set(getattr(layer, attribute)) <= set(left), attribute
        ends = {name.rpartition(".")[2] for name, _ in factors_of(model)}
        assert ends == set(left) == set(model.peft_config)
        for name in left:
            model.set_adapter(name)
            assert torch.equal(logits(model, batch), wanted[name])


def test_deleting_the_active_adapter_takes_the_next_one() -> None:
    model = with_three_banks()
    with pytest.warns(UserWarning, match="Setting active adapter to default2"):
        model.delete_adapter("default")
    assert model.active_adapters == ["default2"]
    assert all(
        p.requires_grad == name.endswith(".default2") for name, p in factors_of(model)
    )


def test_deleting_the_last_adapter_gives_the_base_model() -> None:
    model = adapted("cola")
    model.delete_adapter("default")
    assert not list(factors_of(model))
    batch = tiny_batch("llama")
    left = model.base_model.model
    assert torch.equal(logits(left, batch), logits(tiny_model("llama"), batch))


def test_an_adapter_on_other_layers_leaves_the_first_one_alone() -> None:
    model = adapted("cola")
    batch = tiny_batch("llama")
    wanted = logits(model, batch)
    other = config_of("lora", "llama", target_modules=["q_proj", "down_proj"])
    model.add_adapter("other", other)
    fill_factors(model)
    fresh = adapted("cola")
    assert torch.equal(wanted, logits(fresh, batch))
    model.set_adapter("other")
    assert sum(p.requires_grad for p in model.parameters()) == 8
    layer = model.get_base_model().model.layers[0].mlp.down_proj
    assert list(layer.specs) == ["other"]


def test_status_and_counts_of_peft_read_our_layers() -> None:
    model = with_three_banks()
    status = model.get_model_status()
    assert status.enabled and status.active_adapters == ["default"]
    assert status.available_adapters == THREE_BANKS
    assert status.requires_grad["default2"] is False
    assert len(model.get_layer_status()) == len(layers_of(model))
    trained, everything = model.get_nb_trainable_parameters()
    assert trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert everything == sum(p.numel() for p in model.parameters())


def test_requires_grad_can_be_set_but_not_for_frozen_factors() -> None:
    model = adapted("colora")
    for layer in layers_of(model):
        layer.frozen_factors["default"] = ("cotune_A", "cotune_B")
    model.set_requires_grad("default", False)
    assert not any(p.requires_grad for p in model.parameters())
    for again in (
        lambda: model.set_requires_grad("default", True),
        lambda: model.set_adapter("default"),
        lambda: model.base_model.enable_adapter_layers(),
    ):
        again()
        for name, parameter in factors_of(model):
            assert parameter.requires_grad == ("cotune_core" in name), name


# -- dtypes and devices ----------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.parametrize(("method", "family"), grid())
def test_autocast_adapter_dtype_follows_or_raises_the_dtype(
    method: str, family: str, dtype: torch.dtype
) -> None:
    batch = tiny_batch(family)
    for autocast, wanted in ((True, torch.float32), (False, dtype)):
        base = tiny_model(family, dtype=dtype)
        model = get_peft_model(
            base, config_of(method, family), autocast_adapter_dtype=autocast
        )
        assert {p.dtype for _, p in factors_of(model)} == {wanted}
        loss = model.train()(**batch, **call(method)).loss
        loss.backward()
        for name, parameter in factors_of(model):
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_autocast_trains_fp32_models(family: str, dtype: torch.dtype) -> None:
    batch = tiny_batch(family)
    for method in ("alora", "dual"):
        model = adapted(method, family).train()
        with torch.autocast("cpu", dtype=dtype):
            output = model(**batch, **call(method))
        output.loss.backward()
        grads = [p.grad for _, p in factors_of(model) if p.requires_grad]
        assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_low_cpu_mem_usage_makes_factors_on_the_meta_device() -> None:
    for method in methods():
        model = get_peft_model(
            tiny_model("llama"), config_of(method, "llama"), low_cpu_mem_usage=True
        )
        assert all(p.is_meta for _, p in factors_of(model))
        assert not any(
            p.is_meta for n, p in model.named_parameters() if "base" in n[-20:]
        )


# -- copying, conversion, other entries ------------------------------------------------


@pytest.mark.parametrize("method", methods())
def test_a_deep_copy_is_a_model_of_its_own(method: str) -> None:
    model = adapted(method)
    batch = tiny_batch("llama")
    wanted = logits(model, batch, **call(method))
    twin = copy.deepcopy(model)
    assert torch.equal(logits(twin, batch, **call(method)), wanted)
    fill_factors(twin, seed=9)
    assert torch.equal(logits(model, batch, **call(method)), wanted)
    states = {layers_of(one)[0].state for one in (model, twin)}
    assert len(states) == 2
    assert len({layer.state for layer in layers_of(twin)}) == 1
    twin.unload()
    assert torch.equal(logits(model, batch, **call(method)), wanted)
    with use_tasks(model, "art"):
        logits(model, batch)


@pytest.mark.parametrize("family", FAMILIES)
def test_convert_to_lora_gives_the_same_function(family: str) -> None:
    model = adapted("cola", family, task_type=None)
    batch = tiny_batch(family)
    config, state = convert_to_lora(model, rank=4)
    config.fan_in_fan_out = family == "gpt2"
    plain = get_peft_model(tiny_model(family), config)
    peft.set_peft_model_state_dict(plain, state)
    assert close(logits(plain.eval(), batch), logits(model, batch))


def test_convert_to_lora_refuses_what_is_not_one_lora() -> None:
    for method in ("alora", "colora"):
        with pytest.raises(TypeError, match="do not support LoRA conversion"):
            convert_to_lora(adapted(method), rank=4)
    config, _ = convert_to_lora(adapted("colora", default_task="bio"), rank=4)
    assert isinstance(config, LoraConfig)


def test_convert_to_lora_leaves_alone_layers_without_the_adapter() -> None:
    model = adapted("cola")
    model.add_adapter("other", config_of("lora", "llama", target_modules=["up_proj"]))
    fill_factors(model)
    config, state = convert_to_lora(model, rank=4)
    plain = get_peft_model(tiny_model("llama"), config)
    peft.set_peft_model_state_dict(plain, state)
    batch = tiny_batch("llama")
    assert close(logits(plain.eval(), batch), logits(model, batch))


@pytest.mark.parametrize(("method", "family"), grid())
def test_an_adapter_can_be_injected_without_a_wrapper(method: str, family: str) -> None:
    batch = tiny_batch(family)
    torch.manual_seed(0)
    model = inject_adapter_in_model(config_of(method, family), tiny_model(family))
    fill_factors(model)
    wanted = logits(adapted(method, family), batch, **call(method))
    assert torch.equal(logits(model.eval(), batch, **call(method)), wanted)


def test_a_second_bank_of_another_kind_of_peft_is_refused_by_peft() -> None:
    model = adapted("cola")
    with pytest.raises(ValueError, match=r"[Pp]eft type"):
        model.add_adapter("other", LoraConfig(target_modules=["q_proj"]))


def test_every_method_of_the_table_is_tried_here() -> None:
    assert set(METHODS) < set(methods())


def test_inference_mode_freezes_the_adapter() -> None:
    model = adapted("cola", inference_mode=True)
    assert not any(p.requires_grad for p in model.parameters())
