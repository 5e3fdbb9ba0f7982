"""Whether a model has the layers that a config names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from .._errors import ConfigError, unknown_name
from ._layer import features_of

if TYPE_CHECKING:
    from peft import PeftConfig


def check_targets(model: nn.Module, config: PeftConfig) -> None:
    """Refuse names of layers that the model does not have.

    PEFT passes over a name without a layer as long as another one has some.

    Args:
        model: The base model.
        config: Ours or any of PEFT's. Regular expressions and shorthands such as
            ``all-linear`` are left to PEFT.

    Raises:
        ConfigError: Names without a layer; all of them, each with the nearest.
    """
    paths = [name for name, _ in model.named_modules() if name]
    faults = [
        f"{field}: {unknown_name('layer', name, _layer_names(model))}"
        for field in ("target_modules", "exclude_modules", "modules_to_save")
        for name in _listed(getattr(config, field, None))
        if not any(path == name or path.endswith(f".{name}") for path in paths)
    ]
    if faults:
        raise ConfigError("adapter." + "\nadapter.".join(faults))


def _listed(names: Any) -> list[str]:
    return sorted(names) if isinstance(names, (list, set, tuple)) else []


def _layer_names(model: nn.Module) -> list[str]:
    """Return the last parts of the names of all layers that can be adapted."""
    return list(dict.fromkeys(_each_layer_name(model)))


def _each_layer_name(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        try:
            features_of(module)
        except ConfigError:
            continue
        yield path.rpartition(".")[2]
