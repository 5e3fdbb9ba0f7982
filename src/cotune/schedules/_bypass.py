"""Switching one layer off: cotune's by its own flag, PEFT's by hooks.

PEFT's layers have a path for disabled adapters that returns base(x) and knows which
arguments are not meant for the base layer. The hooks take this path for one call and
leave no trace: they do not touch ``requires_grad``, and whoever disables adapters in
between (as preference training does for its reference model) does not end the mask.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from .._errors import ConfigError

_MARK = "_cotune_bypass"
_KEPT = "_cotune_kept"

BYPASSED = frozenset(
    "c3a deft delora fourierft glora gralora hira hra ia3 loha lokr lora miss oft "
    "peanut poly psoft pvera randlora road vera waveft".split()
)
"""Tuners of PEFT whose disabled path is tested to be the base layer, by package."""

_REASONS = {
    "adalora": "it ranks its factors by their gradients, and those that are off have "
    "none",
}


@runtime_checkable
class Switchable(Protocol):
    """A layer that knows itself how to be off.

    In training mode, with ``switched_off`` set, it returns ``base_layer(x)`` and runs
    none of its factors. In evaluation mode it ignores the flag.
    """

    switched_off: bool


def check_layer(layer: nn.Module, name: str) -> None:
    """Refuse a layer that cannot be switched off.

    Args:
        layer: Any tuner layer.
        name: Its name, for the message.

    Raises:
        ConfigError: Its tuner has no tested bypass, or its base weights are trained.
    """
    assert isinstance(layer, BaseTunerLayer)
    if _trains_base(layer):
        raise ConfigError(
            f"schedule: the base layer of {name} must be frozen, got trained base "
            "parameters: off would not be the original function. Set bias='none'."
        )
    if isinstance(layer, Switchable):
        return
    tuner = _tuner_of(layer)
    if tuner not in BYPASSED:
        reason = _REASONS.get(tuner, "it has no tested path that returns base(x)")
        raise ConfigError(
            f"schedule: adapter layers must be able to return base(x), got {tuner} at "
            f"{name}: {reason}. Use one of {', '.join(sorted(BYPASSED))}, or give the "
            "layer an attribute switched_off that it obeys in training mode."
        )


def check_compiled(model: nn.Module) -> None:
    """Refuse a compiled model, for layers that are switched by hooks.

    Args:
        model: Model with adapter layers of PEFT.

    Raises:
        ConfigError: It, or a part of it, is compiled.
    """
    for name, module in model.named_modules():
        if "_orig_mod" in module._modules or module._compiled_call_impl is not None:
            raise ConfigError(
                "schedule: masks must reach PEFT's layers, got a compiled "
                f"{name or 'model'}, which does not see hooks. Do not compile it, or "
                "use a cotune config."
            )


def switch(layer: nn.Module, on: bool, original: nn.Parameter | None = None) -> None:
    """Switch a layer on or off in training mode. Can be repeated without harm.

    Args:
        layer: A layer that :func:`check_layer` let pass.
        on: Whether its adapters are computed.
        original: Weight to use while off, where a start changed the layer's own.
    """
    if isinstance(layer, Switchable):
        layer.switched_off = not on
        return
    for hook in layer.__dict__.pop(_MARK, ()):
        hook.remove()
    if not on:
        bypass = _Bypass(original)
        layer.__dict__[_MARK] = (
            layer.register_forward_pre_hook(bypass.enter),
            # Also after an exception, or the layer would stay disabled for ever.
            layer.register_forward_hook(bypass.leave, always_call=True),
        )


class _Bypass:
    """A pair of hooks around one call. Bound methods, so that a deep copy has its own.

    What is put back waits on the module that is called, not here: replicas of
    ``nn.DataParallel`` share this object and run in threads.
    """

    def __init__(self, original: nn.Parameter | None) -> None:
        self.original = original

    def enter(self, module: Any, args: Any) -> None:
        """Disable the layer for this call (forward pre-hook)."""
        if not module.training or module.merged:
            return
        base = module.get_base_layer()
        module.__dict__[_KEPT] = (
            module._disable_adapters,
            base._parameters.get("weight"),
        )
        module._disable_adapters = True
        if self.original is not None:
            # The parameter itself is replaced, never its data: autograd keeps the
            # parameter for the backward pass.
            base._parameters["weight"] = self.original

    def leave(self, module: Any, args: Any, output: Any) -> None:
        """Put everything back (forward hook)."""
        kept = module.__dict__.pop(_KEPT, None)
        if kept is None:
            return
        module._disable_adapters, weight = kept
        if self.original is not None:
            module.get_base_layer()._parameters["weight"] = weight


def own_factors(layer: nn.Module) -> list[nn.Parameter]:
    """Return the trained parameters of a tuner layer, without those it wraps.

    Args:
        layer: A tuner layer.
    """
    below = layer._modules.get("base_layer")
    inner = set() if below is None else {id(p) for p in below.parameters()}
    return [p for p in layer.parameters() if p.requires_grad and id(p) not in inner]


def _trains_base(layer: nn.Module) -> bool:
    # Tuners can be nested: factors of one are not the base of the other.
    factors = {
        id(factor)
        for module in layer.modules()
        if isinstance(module, BaseTunerLayer)
        for factor in own_factors(module)
    }
    return any(p.requires_grad and id(p) not in factors for p in layer.parameters())


def _tuner_of(layer: nn.Module) -> str:
    """Return the package of a layer's class, e.g. ``lora`` of ``peft.tuners.lora``."""
    for kind in type(layer).__mro__:
        package, _, rest = kind.__module__.partition("peft.tuners.")
        if not package and rest and kind is not BaseTunerLayer:
            return rest.partition(".")[0]
    return type(layer).__qualname__
