"""Which LoRA folders of PEFT hold plain updates s B A beside an unchanged base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEEPS_BASE = frozenset({"true", "false", "gaussian", "eva", "orthogonal", "mica"})
"""``init_lora_weights``, in lower case, of starts that leave the base weight alone."""

_EXTRA_PARTS = {
    "use_dora": "also rescales the base weight",
    "lora_bias": "also trains a bias of B",
    "kasa_config": "also changes the base weight",
    "alora_invocation_tokens": "acts on the tokens after its invocation only",
    "use_qalora": "pools the input of A",
    "use_bdlora": "has block-diagonal factors",
    "arrow_config": "routes between adapters",
    "monteclora_config": "draws its factors",
    "target_parameters": "has factors of several experts in one tensor",
    "layer_replication": "belongs to a base model with repeated layers",
}
"""Field of ``LoraConfig`` -> what it makes of the update, where it is set."""


def find_more_than_lora(config: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Say what an adapter of PEFT's LoRA has beside plain updates of linear layers.

    Args:
        config: Content of ``adapter_config.json``.
        keys: Names of all tensors in its file.

    Returns:
        The field with its value and what it does; None for plain LoRA.

    Example:
        >>> find_more_than_lora({"init_lora_weights": "pissa"}, [])
        "init_lora_weights='pissa', which changes the base weight"
    """
    for field, effect in _EXTRA_PARTS.items():
        if config.get(field):
            value = "true" if config[field] is True else repr(config[field])
            return f"{field}={value}, which {effect}"
    start = config.get("init_lora_weights", True)
    if str(start).lower() not in KEEPS_BASE:
        return f"init_lora_weights={start!r}, which changes the base weight"
    embedding = next((key for key in keys if ".lora_embedding_" in key), None)
    if embedding is not None:
        return f"{embedding}, which belongs to an embedding"
    return None
