"""One bank per sample: ``adapter_names`` at inference, and in training where asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from adapters.models import THREE_BANKS, adapted, close, config_of, with_three_banks
from cotune import mixed_training, use_tasks
from cotune._errors import ConfigError
from helpers import (
    DECODERS,
    FAMILIES,
    factors_of,
    fill_factors,
    logits,
    tiny_batch,
)

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


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_may_mix_banks(family: str) -> None:
    model = with_three_banks(family, task_type=None)
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
@pytest.mark.parametrize("beams", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_generation_may_mix_banks(family: str, beams: int) -> None:
    model = with_three_banks(family)
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
    model = with_three_banks().train()
    model.base_model.set_adapter(THREE_BANKS)
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
    model = with_three_banks()
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
    model = with_three_banks()
    batch = tiny_batch("llama")
    model.base_model.disable_adapter_layers()
    with pytest.raises(ConfigError, match="needs enabled adapters"):
        logits(model, batch, adapter_names=PICKS)
    model.base_model.enable_adapter_layers()
    model.merge_adapter()
    with pytest.raises(ConfigError, match="needs unmerged adapters, got default"):
        logits(model, batch, adapter_names=PICKS)
