"""Do several adapters fit together, and what do they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._adapter import Adapter
from ..._errors import ConfigError


def layer_names(adapters: Sequence[Adapter], layers: str) -> list[str]:
    """Return the layers to merge: the first adapter's order, then what others add.

    Raises:
        ConfigError: Nothing to merge, an unknown rule, or with ``same`` a layer that
            one of the adapters lacks.
    """
    if not adapters:
        raise ConfigError("merge_adapters: at least one adapter is needed, got none.")
    if layers not in ("same", "union"):
        raise ConfigError(
            f"merge_adapters: layers must be 'same' or 'union', got {layers!r}."
        )
    union = list(dict.fromkeys(name for each in adapters for name in each.layers))
    if not union:
        raise ConfigError("merge_adapters: the adapters must have layers, got none.")
    for place, adapter in enumerate(adapters):
        lacking = [name for name in union if name not in adapter.layers]
        if lacking and layers == "same":
            raise ConfigError(
                "merge_adapters: all adapters must have the same layers, but adapter "
                f"{place} lacks {len(lacking)} of {len(union)}, e.g. {lacking[0]}. "
                "Pass layers='union' to count a missing layer as a zero update."
            )
    return union


def tasks_of(
    adapters: Sequence[Adapter], tasks: Sequence[str | None] | None
) -> list[str | None]:
    """Return one task per adapter; None stands for its default.

    Raises:
        ConfigError: As many tasks as adapters are needed.
    """
    if tasks is None:
        return [None] * len(adapters)
    if isinstance(tasks, str) or len(tasks) != len(adapters):
        raise ConfigError(
            f"merge_adapters: tasks must be {len(adapters)} names, one per adapter, "
            f"got {tasks!r}. Use None for an adapter without tasks."
        )
    return list(tasks)


def check_bases(adapters: Sequence[Adapter], any_base: bool) -> None:
    """Refuse adapters whose configs name different base models.

    Raises:
        ConfigError: They do, and ``any_base`` is False.
    """
    given = [adapter.config.get("base_model_name_or_path") for adapter in adapters]
    bases = list(dict.fromkeys(base for base in given if base))
    if len(bases) > 1 and not any_base:
        raise ConfigError(
            "merge_adapters: all adapters must be made for one base model, got "
            f"{', '.join(map(str, bases))}. If these are the same, pass any_base=True."
        )


def extra_of(adapters: Sequence[Adapter]) -> dict[str, Tensor]:
    """Keep the tensors beside the layers; refuse two different ones of one name.

    Raises:
        ConfigError: Two adapters have other tensors of the same name.
    """
    kept: dict[str, Tensor] = {}
    for place, adapter in enumerate(adapters):
        for key, tensor in adapter.extra.items():
            if key in kept and not _same(kept[key], tensor):
                raise ConfigError(
                    f"merge_adapters: the name {key!r} must belong to one tensor, got "
                    f"another one in adapter {place}. These tensors (modules_to_save, "
                    "biases) cannot be merged: take them out of all adapters but one."
                )
            kept.setdefault(key, tensor)
    return kept


def _same(one: Tensor, other: Tensor) -> bool:
    # torch.equal raises on other dtypes instead of saying no.
    return one.dtype == other.dtype and torch.equal(one, other)
