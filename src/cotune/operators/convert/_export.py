"""From any adapter to a plain PEFT LoRA folder, per task."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ..._adapter import Adapter, Factors, plain_factors
from ..._adapter_file import write_adapter
from ._recompress import recompress

_KEPT = (
    "base_model_name_or_path",
    "revision",
    "task_type",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "trainable_token_indices",
)


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        folder: Where.
        task: Whose update; None if the adapter has no parts per task.
        rank: Largest rank of a layer.
        error: Largest relative error of a layer's update, ||new - old|| / ||old|| in
            the Frobenius norm; 0.0 where nothing was cut.
        exact: False if averaged router shares stood in for a router.
    """

    folder: Path
    task: str | None
    rank: int
    error: float
    exact: bool


def export_lora(
    adapter: Adapter,
    folder: str | os.PathLike[str],
    *,
    task: str | None = None,
    rank: int | None = None,
    shares: Mapping[str, Float[Tensor, " experts"]] | None = None,
) -> Exported:
    """Write one task's update as a LoRA folder that PEFT, vLLM and TGI read.

    The scale goes into B, and lora_alpha = r, so that readers find a scale of 1.

    Args:
        adapter: Any adapter.
        folder: Where to write; made if it is not there.
        task: Whose update; None takes the default task.
        rank: Cut to this rank, with the error in what is returned; None keeps the
            update exact.
        shares: Layer -> average router weights, for routed adapters; see
            ``cotune.adapters.average_shares``. Not exact: measure the output.

    Returns:
        Where, which rank, and which error.

    Raises:
        ConfigError: A routed adapter without shares, or a task is needed.
    """
    layers: dict[str, Factors] = {}
    worst = 0.0
    for name in adapter.layers:
        update = adapter.update(name, task, shares=shares)
        if rank is not None and rank < update.rank:
            update, error = recompress(update, rank)
            worst = max(worst, error)
        layers[name] = plain_factors(update)
    exported = Adapter(layers, _lora_config(adapter, layers), (), adapter.extra)
    write_adapter(exported, folder)
    ranks = [factors.rank for factors in layers.values()]
    row = adapter.task_index(task)
    whose = None if row is None else adapter.tasks[row]
    return Exported(Path(folder), whose, max(ranks), worst, shares is None)


def _lora_config(adapter: Adapter, layers: Mapping[str, Factors]) -> dict[str, Any]:
    ranks = {name: factors.rank for name, factors in layers.items()}
    common = max(ranks.values())
    other = {name: r for name, r in ranks.items() if r != common}
    kept = {key: adapter.config.get(key) for key in _KEPT}
    return {
        **kept,
        "peft_type": "LORA",
        "r": common,
        "lora_alpha": common,
        "rank_pattern": other,
        "alpha_pattern": dict(other),
        "lora_dropout": 0.0,
        "use_rslora": False,
        "bias": adapter.config.get("bias") or "none",
        "inference_mode": True,
    }
