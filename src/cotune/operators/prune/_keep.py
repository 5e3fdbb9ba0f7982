"""Keep the layers of one kind."""

from __future__ import annotations

from collections.abc import Sequence

from ..._adapter import Adapter
from ..._errors import ConfigError, unknown_name
from ._result import PruneResult, keep_layers

ROLES = {
    "query": ("query", "q_proj", "q_lin", "q", "wq"),
    "key": ("key", "k_proj", "k_lin", "k", "wk"),
    "value": ("value", "v_proj", "v_lin", "v", "wv"),
    "output": ("o_proj", "out_proj", "out_lin", "o", "wo"),
    "gate": ("gate_proj", "w1"),
    "up": ("up_proj", "w3"),
    "down": ("down_proj", "w2"),
}
"""What the parts of attention and MLP are called in common models."""


def keep(adapter: Adapter, *, modules: str | Sequence[str]) -> PruneResult:
    """Keep only the layers of the given kinds.

    Args:
        adapter: Any adapter.
        modules: A role (query, key, value, output, gate, up, down), or the end of a
            layer name (``q_proj``, ``self_attn.q_proj``); or several.

    Returns:
        The adapter with the other layers taken out.

    Raises:
        ConfigError: One of ``modules`` fits no layer; shows the endings that there are.

    Source: arXiv:2506.05713 (CoTo), structured pruning.
    """
    wanted = [modules] if isinstance(modules, str) else list(modules)
    kept: list[str] = []
    for each in wanted:
        endings = {each, *ROLES.get(each, ())}
        found = [name for name in adapter.layers if _ends_in(name, endings)]
        if not found:
            there = dict.fromkeys(name.split(".")[-1] for name in adapter.layers)
            raise ConfigError(f"keep: {unknown_name('module', each, there)}")
        kept += found
    return keep_layers("keep", adapter, kept)


def _ends_in(name: str, endings: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[start:]) in endings for start in range(len(parts)))
