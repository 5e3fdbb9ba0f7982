"""Tiny models with an adapter of any method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from cotune.adapters import METHODS, CoTuneConfig
from helpers import FAMILIES, TARGETS, TASK_TYPES, fill_factors, tiny_model

TASKS = ["art", "bio", "law"]
PER_TASK = ["colora", "dual", "mtl", "alora-by-task"]
"""Methods, and one variant, that need to know the task of every sample."""


def config_of(method: str, family: str, **changes: Any) -> CoTuneConfig:
    """Return a small config: rank 2 on two attention layers, three tasks."""
    fields: dict[str, Any] = {
        "method": method,
        "r": 2,
        "lora_alpha": 3,
        "tasks": list(TASKS),
        "target_modules": list(TARGETS[family]),
        "task_type": TASK_TYPES[family],
    }
    if method == "alora-by-task":
        fields |= {"method": "alora", "coupling": "by-task"}
    return CoTuneConfig(**{**fields, **changes})


def adapted(
    method: str = "lora",
    family: str = "llama",
    *,
    filled: bool = True,
    model: dict[str, Any] | None = None,
    **changes: Any,
) -> PeftModel:
    """Make a tiny model with a cotune adapter, in evaluation mode.

    Args:
        method: Name in the method table, or ``alora-by-task``.
        family: Shape of the model.
        filled: Give all factors random values.
        model: Arguments of ``tiny_model``.
        **changes: Fields of the config.
    """
    torch.manual_seed(0)
    base = tiny_model(family, **(model or {}))
    peft_model = get_peft_model(base, config_of(method, family, **changes))
    if filled:
        fill_factors(peft_model)
    return peft_model.eval()


def methods() -> list[str]:
    """Return the names of the table, and the variant by task."""
    return [*METHODS, "alora-by-task"]


def grid(names: list[str] | None = None) -> list[Any]:
    """Return (method, family) pairs; what the quick suite can do without is slow.

    Quick: every method on one family, and one method on every other family.
    """
    names = names or methods()
    chosen = {"opt": "colora", "gpt2": "cola", "bert": "hydralora", "t5": "dual"}

    def is_quick(method: str, family: str) -> bool:
        one = chosen.get(family, method)
        return method == (one if one in names else names[0])

    return [
        pytest.param(
            method,
            family,
            id=f"{method}-{family}",
            marks=[] if is_quick(method, family) else pytest.mark.slow,
        )
        for method in names
        for family in FAMILIES
    ]


def rows_apart(batch: dict[str, Tensor], picks: list[int]) -> dict[str, Tensor]:
    """Return some rows of a batch."""
    return {name: value[picks] for name, value in batch.items()}


THREE_BANKS = ["default", "default2", "efaul"]
"""Names that contain one another."""


def with_three_banks(family: str = "llama", **fields: Any) -> PeftModel:
    """Make a model with three banks of different methods, ``THREE_BANKS``."""
    model = adapted("cola", family, **fields)
    model.add_adapter("default2", config_of("hydralora", family))
    model.add_adapter("efaul", config_of("lora", family))
    fill_factors(model)
    return model.eval()


def generate(model: nn.Module, batch: dict[str, Tensor], **ways: Any) -> Tensor:
    """Generate five tokens for every sample of a batch of ``tiny_batch``."""
    batch = {name: value for name, value in batch.items() if name != "labels"}
    settings = {"max_new_tokens": 5, "min_new_tokens": 5, **ways}
    with torch.no_grad():
        return model.generate(**batch, **settings)  # pyright: ignore


def close(got: Tensor, wanted: Tensor, limit: float = 1e-5) -> bool:
    """Tell whether ||got - wanted|| <= limit ||wanted||, in fp64."""
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm()) <= limit
