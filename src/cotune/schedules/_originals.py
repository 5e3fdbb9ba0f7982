"""Starts that change the base weight, and the original weights that undo them.

PEFT's PiSSA, OLoRA, CorDA, LoRA-GA, LoftQ and KaSA put something else in the place of
the base weight. A group that is off must compute the original function, and adding the
factors back does not give it bit for bit. So the original weights are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from .._errors import ConfigError
from .._plain_lora import KEEPS_BASE
from ._groups import layer_key


def keep_base(model: nn.Module) -> dict[str, Tensor]:
    """Copy the weights that a start of PEFT may change. Call it before PEFT.

    Only for starts such as PiSSA in PEFT's own LoRA. cotune's starts leave the base
    as it is and need none of this.

    Args:
        model: The base model, without adapters.

    Returns:
        Layer key -> its weight, copied to the CPU. As large as the model's linear,
        convolution and embedding layers.

    Raises:
        ConfigError: The model has adapters already.

    Example:
        ``originals = keep_base(model)``, then ``model = get_peft_model(model, config)``
        and ``CoToCallback(schedule=CoTo(), originals=originals)``.
    """
    kept: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            raise ConfigError(
                f"keep_base: must see the model before PEFT, got an adapter on {name}. "
                "Call it before get_peft_model or add_adapter."
            )
        weight = module._parameters.get("weight")
        if weight is not None and weight.ndim >= 2 and weight.is_floating_point():
            kept[name] = weight.detach().to("cpu", copy=True)
    return kept


def find_changed_base(model: nn.Module) -> str | None:
    """Say which adapter's start changed the base weights, if one did.

    Args:
        model: Model with adapters.

    Returns:
        E.g. ``"adapter 'default' with init_lora_weights='pissa'"``, or None.
    """
    for adapter, config in _configs(model):
        start = getattr(config, "init_lora_weights", True)
        if str(start).lower() not in KEEPS_BASE:
            return f"adapter {adapter!r} with init_lora_weights={start!r}"
        if getattr(config, "kasa_config", None) is not None:
            return f"adapter {adapter!r} with kasa_config"
    return None


def original_weight(
    layer: nn.Module, name: str, originals: Mapping[str, Tensor]
) -> nn.Parameter:
    """Look up the original weight of a layer.

    Args:
        layer: A tuner layer of PEFT.
        name: Its name in the model.
        originals: As returned by :func:`keep_base`.

    Returns:
        A frozen parameter on the device and in the dtype of the layer's weight now.

    Raises:
        ConfigError: It is not there, has another shape, or the layer is quantised.
    """
    key, base = layer_key(name), _innermost(layer)
    weight = base._parameters.get("weight")
    if weight is None or type(weight) is not nn.Parameter:
        raise ConfigError(
            f"originals: layer {key} must have a plain weight to replace, got "
            f"{type(base).__name__}. Use a start that keeps the base, e.g. "
            "init_lora_weights=True."
        )
    kept = originals.get(key)
    if kept is None or kept.shape != weight.shape:
        got = "nothing" if kept is None else f"shape {tuple(kept.shape)}"
        raise ConfigError(
            f"originals: must hold the weight {tuple(weight.shape)} of {key}, got "
            f"{got}. Pass what keep_base(model) returned for this model."
        )
    return nn.Parameter(kept.to(weight), requires_grad=False)


def _innermost(layer: nn.Module) -> nn.Module:
    while isinstance(layer, BaseTunerLayer):
        layer = layer.get_base_layer()
    return layer


def _configs(model: nn.Module) -> Iterator[tuple[str, Any]]:
    # PEFT keeps them on its tuner, or on the base model after `add_adapter`.
    seen: set[int] = set()
    for module in model.modules():
        configs = module.__dict__.get("peft_config")
        if isinstance(configs, dict) and id(configs) not in seen:
            seen.add(id(configs))
            yield from configs.items()
