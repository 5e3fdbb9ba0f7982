"""Check M4: merging gives the same function, and unmerging gives the base back."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from adapters.layers import (
    Case,
    batch_of,
    coupling_cases,
    make_layer,
    method_cases,
    plain_base,
)
from adapters.models import PER_TASK, TASKS, adapted, config_of, grid, methods
from adapters.oracle import loop_update, read_bank
from cotune import use_tasks
from cotune._errors import ConfigError
from cotune.adapters import COUPLINGS, CollaborativeLayer
from helpers import FAMILIES, fill_factors, logits, tiny_batch, tiny_model

MERGING = [
    *method_cases(),
    *coupling_cases(cores=["none", "full"], starts=["pissa-split"]),
]
STATIC = [m for m in methods() if m not in ("alora", "hydralora", "moelora")]
ROUTED = ["alora", "hydralora", "moelora"]


def error(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())


def can_merge(layer: CollaborativeLayer) -> bool:
    return layer.specs["default"].config.coupling_object.can_merge


def base_weights(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if "cotune_" not in name
    }


def unchanged(model: nn.Module, before: dict[str, Tensor]) -> bool:
    after = base_weights(model)
    return list(after) == list(before) and all(
        torch.equal(after[name], before[name]) for name in before
    )


# -- one layer -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
@pytest.mark.parametrize("case", MERGING, ids=str)
def test_m4_merged_equals_unmerged_or_is_refused(case: Case, kind: str) -> None:
    layer = make_layer(case, base=plain_base(kind), dtype=torch.float32)
    x, _ = batch_of(layer, dtype=torch.float32)
    base = layer.get_base_layer()
    before = base.weight.detach().clone()
    for task in TASKS:
        with layer.state.pin(task):
            wanted = layer(x)
            if not can_merge(layer):
                with pytest.raises(ConfigError, match="cannot be merged or exported"):
                    layer.merge()
                assert torch.equal(base.weight, before) and not layer.merged
                continue
            layer.merge()
            assert layer.merged
            assert error(layer(x), wanted) <= 1e-5
            layer.unmerge()
            assert torch.equal(base.weight, before) and not layer.merged
            assert torch.equal(layer(x), wanted)


@pytest.mark.parametrize("case", MERGING, ids=str)
def test_the_delta_weight_is_the_matrix_of_the_double_loop(case: Case) -> None:
    layer = make_layer(case)
    if not can_merge(layer):
        with pytest.raises(ConfigError):
            layer.get_delta_weight("default")
        return
    columns = torch.eye(layer.in_features, dtype=torch.float64).unsqueeze(0)
    for row, task in enumerate(TASKS):
        wanted = loop_update(read_bank(layer), columns, [row])[0].T
        with layer.state.pin(task):
            assert error(layer.get_delta_weight("default"), wanted) <= 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_hundred_cycles_leave_the_base_weight_bit_for_bit(
    dtype: torch.dtype,
) -> None:
    layer = make_layer(Case("", {"method": "cola"}), dtype=dtype)
    base = layer.get_base_layer()
    before = base.weight.detach().clone()
    for _ in range(100):
        layer.merge()
        assert not torch.equal(base.weight, before)
        layer.unmerge()
    assert torch.equal(base.weight, before)


def test_merging_ignores_dropout_and_schedules() -> None:
    layer = make_layer(Case("", {"method": "cola", "lora_dropout": 0.5})).eval()
    x, _ = batch_of(layer)
    wanted = layer(x)
    layer.train()
    layer.switched_off = True
    layer.merge()
    assert error(layer(x), wanted) <= 1e-12


def test_merging_in_training_takes_the_expectation_of_a_random_coupling() -> None:
    layer = make_layer(Case("", {"method": "cola", "coupling": "random"}))
    x, _ = batch_of(layer)
    wanted = layer(x)
    layer.train().merge()
    assert error(layer(x), wanted) <= 1e-12


def test_merging_needs_a_plain_floating_point_layer() -> None:
    class Other(nn.Linear):
        pass

    base = Other(12, 10).double()
    layer = make_layer(Case("", {"start": "kaiming"}), base=base)
    with pytest.raises(ConfigError, match=r"got Other\. Export to plain"):
        layer.merge()


def test_safe_merge_refuses_a_broken_adapter_and_changes_nothing() -> None:
    layer = make_layer(method_cases()[0])
    before = layer.get_base_layer().weight.detach().clone()
    with torch.no_grad():
        layer.cotune_A["default"][0, 0, 0] = float("nan")
    with pytest.raises(ConfigError, match="must be finite, got NaN"):
        layer.merge(safe_merge=True)
    assert torch.equal(layer.get_base_layer().weight, before) and not layer.merged


def test_merging_per_task_needs_one_known_task() -> None:
    layer = make_layer(Case("", {"method": "colora"}))
    with pytest.raises(ConfigError, match="so one must be named"):
        layer.merge()
    with layer.state.pin("lab"), pytest.raises(ConfigError, match="mean law"):
        layer.merge()
    with (
        layer.state.pin(["art", "bio"]),
        pytest.raises(ConfigError, match="needs one task, got"),
    ):
        layer.merge()


def test_disabling_a_merged_layer_unmerges_it() -> None:
    layer = make_layer(Case("", {"method": "cola"}))
    x, _ = batch_of(layer)
    wanted = layer.base_layer(x)
    layer.merge()
    layer.enable_adapters(False)
    assert torch.equal(layer(x), wanted) and not layer.merged


def test_half_precision_after_merging_is_kept_by_unmerging() -> None:
    layer = make_layer(Case("", {"method": "cola"}), dtype=torch.float32)
    wanted = layer.get_base_layer().weight.detach().bfloat16()
    layer.merge()
    layer.bfloat16()
    layer.unmerge()
    assert torch.equal(layer.get_base_layer().weight, wanted)


# -- whole models ----------------------------------------------------------------------


@pytest.mark.parametrize(("method", "family"), grid(STATIC))
def test_m4_a_merged_model_equals_the_unmerged_one(method: str, family: str) -> None:
    model = adapted(method, family, target_modules="all-linear")
    batch = tiny_batch(family)
    before = base_weights(model)
    with use_tasks(model, "bio"):
        wanted = logits(model, batch)
        model.merge_adapter(safe_merge=True)
        assert error(logits(model, batch), wanted) <= 1e-5
        model.unmerge_adapter()
    assert unchanged(model, before)
    assert torch.equal(logits(model, batch, tasks="bio"), wanted)


@pytest.mark.parametrize(("method", "family"), grid(STATIC))
def test_m4_merge_and_unload_gives_a_plain_model(method: str, family: str) -> None:
    model = adapted(method, family, default_task="bio", target_modules="all-linear")
    batch = tiny_batch(family)
    wanted = logits(model, batch)
    merged = model.merge_and_unload()
    assert not any("cotune" in type(m).__module__ for m in merged.modules())
    assert not any("cotune_" in name for name in merged.state_dict())
    assert error(logits(merged, batch), wanted) <= 1e-5


@pytest.mark.parametrize(("method", "family"), grid(ROUTED))
def test_m4_a_routed_method_says_what_to_do_instead(method: str, family: str) -> None:
    model = adapted(method, family)
    before = base_weights(model)
    batch = tiny_batch(family)
    wanted = logits(model, batch)
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(ConfigError, match="export it with calibrated"):
            merge()
    assert unchanged(model, before)
    assert torch.equal(logits(model, batch), wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_unload_gives_back_the_base_model(family: str) -> None:
    batch = tiny_batch(family)
    wanted = logits(tiny_model(family), batch)
    model = adapted("cola", family, task_type=None)
    plain = model.unload()
    assert torch.equal(logits(plain, batch), wanted)


@pytest.mark.parametrize("method", PER_TASK)
def test_each_task_merges_into_a_model_of_its_own(method: str) -> None:
    model = adapted(method, "gpt2")
    batch = tiny_batch("gpt2")
    outputs = []
    for task in TASKS:
        with use_tasks(model, task):
            model.merge_adapter()
        outputs.append(logits(model, batch))
        model.unmerge_adapter()
        assert error(outputs[-1], logits(model, batch, tasks=task)) <= 1e-5
    assert error(outputs[0], outputs[1]) > 1e-3


def test_two_adapters_merge_one_after_the_other_and_come_apart_exactly() -> None:
    model = adapted("cola")
    model.add_adapter("second", config_of("lora", "llama"))
    fill_factors(model)
    before = base_weights(model)
    batch = tiny_batch("llama")
    model.base_model.set_adapter(["default", "second"])
    wanted = logits(model, batch)
    model.merge_adapter(["default"])
    with pytest.warns(UserWarning, match="additionally merging second"):
        model.merge_adapter(["second"])
    assert error(logits(model, batch), wanted) <= 1e-5
    with pytest.warns(UserWarning, match="All adapters are already merged"):
        model.merge_adapter()
    model.unmerge_adapter()
    assert unchanged(model, before)
    assert torch.equal(logits(model, batch), wanted)


def test_a_merged_adapter_cannot_be_deleted() -> None:
    model = adapted("cola")
    model.add_adapter("second", config_of("lora", "llama"))
    model.merge_adapter()
    with pytest.raises(ConfigError, match="'default' must not be merged"):
        model.delete_adapter("default")
    assert list(model.peft_config) == ["default", "second"]


@pytest.mark.parametrize("family", ["gpt2", "t5", "opt"])
def test_merging_a_tied_head_leaves_the_embedding_alone(family: str) -> None:
    with pytest.warns(UserWarning, match="no implementation exists to tie"):
        model = adapted("cola", family, target_modules=["lm_head"], task_type=None)
    base = model.get_base_model()
    embedding = base.get_input_embeddings().weight
    assert base.lm_head.base_layer.weight is embedding
    batch = tiny_batch(family)
    wanted, before = logits(model, batch), embedding.detach().clone()
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        model.merge_adapter()
    assert torch.equal(base.get_input_embeddings().weight, before)
    assert error(logits(model, batch), wanted) <= 1e-5
    model.unmerge_adapter()
    assert base.lm_head.base_layer.weight is base.get_input_embeddings().weight
    assert torch.equal(logits(model, batch), wanted)
    with pytest.warns(UserWarning, match="tie_word_embeddings|no longer tied"):
        merged = model.merge_and_unload()
    assert not merged.config.tie_word_embeddings
    assert error(logits(merged, batch), wanted) <= 1e-5


def test_a_merged_model_refuses_the_tasks_of_another_one() -> None:
    model = adapted("colora")
    batch = tiny_batch("llama")
    with use_tasks(model, "bio"):
        model.merge_adapter()
    wanted = logits(model, batch)
    assert torch.equal(logits(model, batch, tasks="bio"), wanted)
    assert torch.equal(logits(model, batch, tasks=["bio"] * 4), wanted)
    for other in ("law", ["bio", "bio", "law", "bio"]):
        with pytest.raises(ConfigError, match="merged for task 'bio'"):
            logits(model, batch, tasks=other)
    model.unmerge_adapter()
    logits(model, batch, tasks="law")


def test_supports_lora_conversion_tells_what_can_become_one_lora() -> None:
    def supports(model: PeftModel) -> bool:
        return model.base_model.supports_lora_conversion()

    assert supports(adapted("cola"))
    assert not supports(adapted("alora"))
    assert not supports(adapted("colora"))
    assert supports(adapted("colora", default_task="bio"))
    for coupling in COUPLINGS:
        if not COUPLINGS[coupling].can_merge:
            assert COUPLINGS[coupling]().experts(1, 3) > 0
