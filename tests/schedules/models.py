"""Tiny adapted models: cotune's methods, PEFT's LoRA in its forms, PEFT's tuners."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftConfig
from torch import Tensor, nn

from cotune import METHODS, CoTuneConfig
from cotune.schedules import Switch, keep_base
from helpers import tiny_batch, tiny_model

LAYERS = 4
TARGETS = ["q_proj", "up_proj"]
TASKS = ["ant", "bee", "cat"]

LORA_FORMS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "dropout": {"lora_dropout": 0.5},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "eva": {"init_lora_weights": "eva", "eva_config": peft.EvaConfig()},
}
"""Forms of PEFT's LoRA that leave the base weight as it is."""

CHANGING_FORMS: dict[str, dict[str, Any]] = {
    "pissa": {"init_lora_weights": "pissa"},
    "pissa_niter": {"init_lora_weights": "pissa_niter_4"},
    "olora": {"init_lora_weights": "olora"},
}
"""Starts of PEFT's LoRA that change the base weight."""

TUNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "c3a": ("C3AConfig", {"block_size": 8}),
    "deft": ("DeftConfig", {}),
    "delora": ("DeloraConfig", {}),
    "fourierft": ("FourierFTConfig", {"n_frequency": 8}),
    "glora": ("GloraConfig", {}),
    "gralora": ("GraloraConfig", {"r": 4, "gralora_k": 2}),
    "hira": ("HiraConfig", {}),
    "hra": ("HRAConfig", {}),
    "ia3": ("IA3Config", {"feedforward_modules": []}),
    "loha": ("LoHaConfig", {}),
    "lokr": ("LoKrConfig", {}),
    "lora": ("LoraConfig", {"r": 2}),
    "miss": ("MissConfig", {"r": 4}),
    "oft": ("OFTConfig", {"oft_block_size": 8}),
    "peanut": ("PeanutConfig", {}),
    "poly": (
        "PolyConfig",
        {"r": 2, "n_tasks": 3, "n_skills": 2, "task_type": "CAUSAL_LM"},
    ),
    "psoft": ("PsoftConfig", {"r": 4}),
    "pvera": ("PveraConfig", {}),
    "randlora": ("RandLoraConfig", {}),
    "road": ("RoadConfig", {"group_size": 8}),
    "vera": ("VeraConfig", {}),
    "waveft": ("WaveFTConfig", {"n_frequency": 8}),
}
"""Tuners of PEFT that can be switched: config class and what it needs here."""


def tuner_config(name: str) -> PeftConfig:
    """Make the config of a line of ``TUNERS``."""
    config, fields = TUNERS[name]
    return getattr(peft, config)(target_modules=TARGETS, **fields)


def method_config(method: str, **changes: Any) -> CoTuneConfig:
    """Make a config of a cotune method, with tasks where it needs them."""
    fields = {"r": 2, "target_modules": TARGETS, **changes}
    if method in ("colora", "dual", "mtl"):
        fields["tasks"] = list(TASKS)
    assert method in METHODS
    return CoTuneConfig(method=method, **fields)


def lora_config(**changes: Any) -> LoraConfig:
    """Make a config of PEFT's LoRA."""
    return LoraConfig(**{"r": 2, "target_modules": TARGETS, **changes})


def base_model(**changes: Any) -> nn.Module:
    """Make the base model of all tests here, four blocks."""
    return tiny_model("llama", **{"num_hidden_layers": LAYERS, **changes})


def adapted(
    config: PeftConfig, base: nn.Module | None = None
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Put adapters with random factors on a base model, in training mode.

    Returns:
        The model, and the base weights from before.
    """
    base = base_model() if base is None else base
    originals = keep_base(base)
    torch.manual_seed(11)
    with quiet():
        model = peft.get_peft_model(base, config)  # type: ignore[arg-type]
    dice = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=dice), alpha=0.1)
    return model.train(), originals


def batch(samples: int = 4) -> dict[str, Tensor]:
    """Make a batch for the base model."""
    return tiny_batch("llama", samples=samples)


def tasks_for(config: PeftConfig, samples: int = 4) -> dict[str, Any]:
    """Return what a model of this config needs to know about the batch's tasks."""
    rows = torch.arange(samples) % len(TASKS)
    if getattr(config, "tasks", None):
        return {"tasks": [TASKS[int(row)] for row in rows]}
    return {"task_ids": rows} if str(config.peft_type.value) == "POLY" else {}


def only(switch: Switch, *on: int) -> dict[str, bool]:
    """Return the mask in which the groups with these numbers are on."""
    return {group.name: place in on for place, group in enumerate(switch.groups)}


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Return the gradients that are there, by parameter name."""
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def trained(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the trained parameters."""
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are bit-equal."""
    return list(left) == list(right) and all(
        torch.equal(left[name], right[name]) for name in left
    )


@contextmanager
def quiet() -> Any:
    """Hide PEFT's calls of what transformers has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`?is_gradient_checkpointing", FutureWarning)
        warnings.filterwarnings("ignore", "Unsupported layer type", UserWarning)
        warnings.filterwarnings("ignore", "lora with eva", UserWarning)
        yield
