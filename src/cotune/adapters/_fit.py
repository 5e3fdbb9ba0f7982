"""Put an adapter around a base model, with errors that help where it does not fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from .._errors import ConfigError, unknown_name
from ._base_layer import features_of
from ._config import CoTuneConfig

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel


def fit_adapter(model: nn.Module, config: PeftConfig) -> PeftModel:
    """Call ``peft.get_peft_model``, after looking whether the model has the layers.

    PEFT passes over a name without a layer as long as another one has some.

    Args:
        model: The base model; changed in place, as PEFT does.
        config: Ours or any of PEFT's.

    Returns:
        The PEFT model.

    Raises:
        ConfigError: Names without a layer (all of them, each with the nearest), or
            anything else that PEFT refuses.
    """
    from peft import get_peft_model

    faults = list(_unknown_layers(model, config))
    if faults:
        raise ConfigError("\n".join(faults))
    with warnings.catch_warnings():
        # PEFT asks for it by a name that transformers has changed.
        warnings.filterwarnings("ignore", "`is_gradient_check", FutureWarning)
        try:
            return cast("PeftModel", get_peft_model(cast(Any, model), config))
        except ConfigError:
            raise
        except ValueError as error:
            names = ", ".join(_layer_names(model))
            raise ConfigError(
                f"adapter.target_modules: must fit the base model, got: {error} Its "
                f"layers are called {names}."
            ) from error


def _unknown_layers(model: nn.Module, config: PeftConfig) -> Iterator[str]:
    """Yield a message per listed name, or pattern of ranks, that no layer has.

    Other expressions and shorthands such as ``all-linear`` are left to PEFT.
    """
    paths = [f".{name}" for name, _ in model.named_modules() if name]
    for field in ("target_modules", "exclude_modules", "modules_to_save"):
        names = getattr(config, field, None)
        for name in sorted(names) if isinstance(names, (list, set, tuple)) else []:
            if not any(path.endswith(f".{name}") for path in paths):
                hint = unknown_name("layer", name, _layer_names(model))
                yield f"adapter.{field}: {hint}"
    if not isinstance(config, CoTuneConfig):
        return
    for field in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(config, field) or {}:
            # As PEFT matches them; it would pass over one that fits nothing.
            fits = re.compile(rf"(.*\.)?({pattern})$")
            if not any(fits.match(path[1:]) for path in paths):
                hint = unknown_name("layer", pattern, _layer_names(model))
                yield f"adapter.{field}: {hint}"


def _layer_names(model: nn.Module) -> list[str]:
    """Return the last parts of the names of all layers that can be adapted."""
    names: dict[str, None] = {}
    for path, module in model.named_modules():
        try:
            features_of(module)
        except ConfigError:
            continue
        names[path.rpartition(".")[2]] = None
    return list(names)
