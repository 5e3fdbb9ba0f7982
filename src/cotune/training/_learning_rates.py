"""Learning rates per factor: LoRA+ and its like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .._errors import ConfigError

_FACTOR = re.compile(
    r"\.(?:cotune_(?P<ours>A|B|core|router|weight)|lora_(?:embedding_)?(?P<peft>A|B))\."
)


def find_factor(name: str) -> str | None:
    """Tell which factor a parameter is.

    Args:
        name: Its name in the model, e.g. ``...q_proj.cotune_B.default``.

    Returns:
        ``A``, ``B``, ``core``, ``router`` or ``weight``; None for other parameters.
        PEFT's LoRA counts: its ``lora_B`` is a ``B``.
    """
    found = _FACTOR.search(name)
    return None if found is None else found["ours"] or found["peft"]


def set_learning_rates(
    optimizer: Optimizer, model: nn.Module, ratios: Mapping[str, float]
) -> None:
    """Give the parameters of some factors a learning rate of their own.

    Groups of parameters are split; nothing else about them changes. Call it before the
    first step and before the scheduler is made.

    Args:
        optimizer: Any optimizer over the parameters of ``model``. Changed in place.
        model: The model.
        ratios: Factor -> multiple of the learning rate of its group.

    Raises:
        ConfigError: No trained parameter belongs to a factor of ``ratios``.

    Source: LoRA+ (arXiv:2402.12354), the ratio of B; other factors likewise.
    """
    factors = {
        id(parameter): find_factor(name)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    missing = [factor for factor in ratios if factor not in factors.values()]
    if missing:
        there = sorted({factor for factor in factors.values() if factor is not None})
        raise ConfigError(
            f"factor_lr_ratio: must name factors that the adapter trains, got "
            f"{', '.join(missing)}. It trains: {', '.join(there) or 'none'}."
        )
    groups = [
        part
        for group in optimizer.param_groups
        for part in _split(group, factors, ratios)
    ]
    optimizer.param_groups[:] = groups


def _split(
    group: dict[str, Any],
    factors: Mapping[int, str | None],
    ratios: Mapping[str, float],
) -> list[dict[str, Any]]:
    parts: dict[float, list[Any]] = {1.0: []}
    for parameter in group["params"]:
        ratio = ratios.get(factors[id(parameter)] or "", 1.0)
        parts.setdefault(ratio, []).append(parameter)
    return [
        {**group, "params": parameters, "lr": group["lr"] * ratio}
        for ratio, parameters in parts.items()
        # An empty first group stays, so that the logged rate is the one of the recipe.
        if parameters or ratio == 1.0
    ]
