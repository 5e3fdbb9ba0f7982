"""Tiny models with an adapter of any method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor

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

    Quick: every method on one family, and one static, one routed and one per-task
    method on every family.
    """
    return [
        pytest.param(
            method,
            family,
            id=f"{method}-{family}",
            marks=[]
            if family == "llama" or method in ("cola", "hydralora", "dual")
            else pytest.mark.slow,
        )
        for method in names or methods()
        for family in FAMILIES
    ]


def rows_apart(batch: dict[str, Tensor], picks: list[int]) -> dict[str, Tensor]:
    """Return some rows of a batch."""
    return {name: value[picks] for name, value in batch.items()}
