"""What PEFT's own users rely on, for every family of models."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from peft.tuners.lora.conversion import convert_to_lora
from torch import Tensor, nn

from adapters.models import PER_TASK, adapted, config_of, grid, methods
from cotune import CoLAConfig, CoTuneConfig, mixed_training, use_tasks
from cotune._errors import ConfigError
from cotune.adapters import METHODS, CollaborativeLayer
from helpers import (
    DECODERS,
    FAMILIES,
    TARGETS,
    factors_of,
    fill_factors,
    logits,
    tiny_batch,
    tiny_model,
)

NAMES = ["default", "default2", "efaul"]


def close(got: Tensor, wanted: Tensor, limit: float = 1e-5) -> bool:
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm()) <= limit


def call(method: str) -> dict[str, Any]:
    return {"tasks": ["law", "art", "law", "bio"]} if method in PER_TASK else {}


def layers_of(model: nn.Module) -> list[CollaborativeLayer]:
    return [m for m in model.modules() if isinstance(m, CollaborativeLayer)]


def with_three_adapters(family: str = "llama", **fields: Any) -> PeftModel:
    """Make three banks of different methods, whose names contain one another."""
    model = adapted("cola", family, **fields)
    model.add_adapter("default2", config_of("hydralora", family))
    model.add_adapter("efaul", config_of("lora", family))
    fill_factors(model)
    return model.eval()


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
    model = with_three_adapters(family, task_type=None, target_modules="all-linear")
    layer = layers_of(model)[0]
    x = torch.randn(2, 3, layer.in_features)
    base = layer.base_layer(x)
    parts = []
    for name in NAMES:
        model.set_adapter(name)
        parts.append(layer(x) - base)
    model.base_model.set_adapter(NAMES)
    assert close(layer(x), base + sum(parts))
    assert model.active_adapters == NAMES


def test_names_that_contain_one_another_do_not_leak() -> None:
    model = with_three_adapters()
    before = {name: p.detach().clone() for name, p in factors_of(model)}
    for active in NAMES:
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


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_deleting_an_adapter_leaves_nothing_of_it(order: list[str]) -> None:
    model = with_three_adapters(modules_to_save=["lm_head"])
    batch = tiny_batch("llama")
    wanted = {}
    for name in NAMES:
        model.set_adapter(name)
        wanted[name] = logits(model, batch)
    left = list(NAMES)
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
    model = with_three_adapters()
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
    model = with_three_adapters()
    status = model.get_model_status()
    assert status.enabled and status.active_adapters == ["default"]
    assert status.available_adapters == NAMES
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


# -- adapter_names: one bank per sample ------------------------------------------------

PICKS = ["efaul", "default", "__base__", "default2"]


def by_sample(model: PeftModel, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
    """Return the logits of every sample computed with its own bank, one by one."""
    rows = []
    for row, name in enumerate(PICKS):
        one = {key: value[row : row + 1] for key, value in batch.items()}
        if name == "__base__":
            with model.disable_adapter():
                rows.append(logits(model, one))
        else:
            model.set_adapter(name)
            rows.append(logits(model, one, **kwargs))
    model.set_adapter("default")
    return torch.cat(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_may_mix_banks(family: str) -> None:
    model = with_three_adapters(family, task_type=None)
    batch = tiny_batch(family)
    mixed = logits(model, batch, adapter_names=PICKS)
    assert close(mixed, by_sample(model, batch))


def test_a_batch_may_mix_banks_and_tasks() -> None:
    model = adapted("colora")
    model.add_adapter("other", config_of("dual", "llama"))
    fill_factors(model)
    batch = tiny_batch("llama")
    names, tasks = (
        ["other", "default", "other", "default"],
        ["bio", "law", "law", "art"],
    )
    mixed = logits(model, batch, adapter_names=names, tasks=tasks)
    for row in range(4):
        one = {key: value[row : row + 1] for key, value in batch.items()}
        model.set_adapter(names[row])
        assert close(mixed[row : row + 1], logits(model, one, tasks=tasks[row]))


def test_a_batch_of_banks_uses_the_head_of_each_bank() -> None:
    model = adapted("cola", "bert")
    model.add_adapter("default2", config_of("lora", "bert"))
    model.add_adapter("efaul", config_of("lora", "bert"))
    fill_factors(model)
    head = model.get_base_model().classifier.modules_to_save
    with torch.no_grad():
        for shift, module in enumerate(head.values()):
            module.bias.add_(1.0 + shift)
    batch = tiny_batch("bert")
    mixed = logits(model, batch, adapter_names=PICKS)
    assert close(mixed, by_sample(model, batch))


@pytest.mark.parametrize("family", [*DECODERS, "t5"])
@pytest.mark.parametrize("beams", [1, 3])
def test_generation_may_mix_banks(family: str, beams: int) -> None:
    model = with_three_adapters(family)
    batch = tiny_batch(family)
    batch.pop("labels")
    ways = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    ways["num_beams"] = beams
    mixed = model.generate(**batch, **ways, adapter_names=PICKS)
    for row, name in enumerate(PICKS):
        one = {key: value[row : row + 1] for key, value in batch.items()}
        alone = model.generate(**one, **ways, adapter_names=[name])
        assert torch.equal(mixed[row : row + 1], alone)


def test_banks_and_tasks_mix_in_generation_with_beams() -> None:
    model = adapted("colora", "gpt2")
    model.add_adapter("other", config_of("dual", "gpt2"))
    fill_factors(model)
    batch = tiny_batch("gpt2")
    batch.pop("labels")
    names, tasks = (
        ["other", "default", "other", "default"],
        ["bio", "law", "law", "art"],
    )
    ways = {"max_new_tokens": 4, "min_new_tokens": 4, "num_beams": 2}
    with use_tasks(model, tasks):
        mixed = model.generate(**batch, **ways, do_sample=False, adapter_names=names)
    for row in range(4):
        one = {key: value[row : row + 1] for key, value in batch.items()}
        model.set_adapter(names[row])
        with use_tasks(model, tasks[row]):
            alone = model.generate(**one, **ways, do_sample=False)
        assert torch.equal(mixed[row : row + 1], alone)


def test_mixed_training_gives_each_bank_the_gradients_of_its_samples() -> None:
    model = with_three_adapters().train()
    model.base_model.set_adapter(NAMES)
    batch = tiny_batch("llama")
    with pytest.raises(ConfigError, match="must not be passed in training"):
        model(**batch, adapter_names=PICKS)
    with mixed_training(model):
        out = model(**batch, adapter_names=PICKS).logits
        out.square().sum().backward()
    mixed = {n: p.grad for n, p in factors_of(model) if p.requires_grad}
    model.zero_grad(set_to_none=True)
    for row, name in enumerate(PICKS):
        if name == "__base__":
            continue
        one = {key: value[row : row + 1] for key, value in batch.items()}
        model.set_adapter(name)
        model(**one).logits.square().sum().backward()
    for name, parameter in factors_of(model):
        if name in mixed:
            assert parameter.grad is not None and mixed[name] is not None
            torch.testing.assert_close(
                mixed[name], parameter.grad, rtol=1e-3, atol=1e-4
            )
    with pytest.raises(ConfigError, match="must not be passed in training"):
        model(**batch, adapter_names=PICKS)


def test_wrong_adapter_names_are_refused_and_leave_nothing_behind() -> None:
    model = with_three_adapters()
    batch = tiny_batch("llama")
    wanted = logits(model, batch)
    for names, message in [
        (["default", "defualt", "efaul", "default2"], "Unknown adapter 'defualt'. Did"),
        (["default", "efaul", "efaul"], "one name per sample, got 3 names for 4"),
        ([], "one name per sample, got none"),
    ]:
        with pytest.raises(ConfigError, match=message):
            logits(model, batch, adapter_names=names)
    assert torch.equal(logits(model, batch), wanted)


def test_adapter_names_are_refused_where_they_would_be_ignored() -> None:
    model = with_three_adapters()
    batch = tiny_batch("llama")
    model.base_model.disable_adapter_layers()
    with pytest.raises(ConfigError, match="needs enabled adapters"):
        logits(model, batch, adapter_names=PICKS)
    model.base_model.enable_adapter_layers()
    model.merge_adapter()
    with pytest.raises(ConfigError, match="needs unmerged adapters, got default"):
        logits(model, batch, adapter_names=PICKS)


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_autocast_trains_fp32_models(family: str, dtype: torch.dtype) -> None:
    batch = tiny_batch(family)
    for method in ("cola", "alora", "dual"):
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


# -- which layers ----------------------------------------------------------------------


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
