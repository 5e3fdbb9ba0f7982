"""The config of an adapter that has become plain LoRA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._adapter import LowRank

CARRIED = (
    "base_model_name_or_path",
    "revision",
    "task_type",
    "fan_in_fan_out",
    "bias",
    "trainable_token_indices",
)
"""What a merged or pruned adapter still says about its base model, and about tensors
beside its layers, which PEFT would pass over in silence otherwise."""


def plain_config(
    configs: Sequence[Mapping[str, Any]], layers: Mapping[str, LowRank]
) -> dict[str, Any]:
    """Describe plain LoRA layers with scale 1, as PEFT's ``adapter_config.json`` does.

    Args:
        configs: The configs of the adapters it came from; the first that has a key
            wins, and ``modules_to_save`` are put together.
        layers: Layer name -> update. Ranks may differ: they become a rank pattern, and
            the same alpha pattern, so that alpha / r is 1 everywhere.

    Returns:
        A new dict.
    """
    ranks = {name: update.rank for name, update in layers.items()}
    usual = max(ranks.values())
    others = {name: rank for name, rank in ranks.items() if rank != usual}
    config: dict[str, Any] = {"peft_type": "LORA"}
    for key in CARRIED:
        found = [each[key] for each in configs if each.get(key) is not None]
        if found:
            config[key] = found[0]
    saved = [name for each in configs for name in each.get("modules_to_save") or ()]
    return config | {
        "r": usual,
        "lora_alpha": usual,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "rank_pattern": others,
        "alpha_pattern": dict(others),
        "target_modules": list(layers),
        "modules_to_save": list(dict.fromkeys(saved)) or None,
        "inference_mode": True,
    }
