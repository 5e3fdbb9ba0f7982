"""What an adapter consists of: factors, shapes, owners, numbers, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .._adapter import Adapter
from ._coupling import COUPLINGS
from ._layer import CollaborativeLayer
from ._methods import find_method

FROZEN = ("A0", "B0")


@dataclass(frozen=True)
class FactorLine:
    """One factor of one layer.

    Args:
        layer: Name of the layer, as in the base model.
        factor: A, B, core, router, weight, or A0, B0 (frozen copies of the start).
        shape: In the shapes of the formula: A (M, r, d_in), B (N, d_out, r).
        owner: ``shared``, ``private``, or ``frozen``.
        parameters: How many numbers.
        bytes: Their size in a file.
    """

    layer: str
    factor: str
    shape: tuple[int, ...]
    owner: str
    parameters: int
    bytes: int


def explain_adapter(adapter: Adapter) -> list[FactorLine]:
    """List the factors of an adapter read from a file, layer by layer.

    Args:
        adapter: Any adapter.

    Returns:
        One line per factor, in the order of the layers; two where a bank begins with
        factors of all tasks and goes on with factors per task.
    """
    tensors = ((name, layer.tensors()) for name, layer in adapter.layers.items())
    return list(_lines(tensors, adapter.config))


def explain_model(model: nn.Module, adapter_name: str = "default") -> list[FactorLine]:
    """List the factors of a model's adapter, layer by layer.

    Args:
        model: A model with a cotune adapter; the meta device will do.
        adapter_name: Which adapter.

    Returns:
        Lines as :func:`explain_adapter` returns them.
    """
    layers = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, CollaborativeLayer) and adapter_name in module.specs
    }
    first = next(iter(layers.values()), None)
    config = {} if first is None else vars(first.specs[adapter_name].config)
    tensors = (
        (n, layer.factors(adapter_name).tensors()) for n, layer in layers.items()
    )
    return list(_lines(tensors, config))


def _lines(
    layers: Iterable[tuple[str, Mapping[str, Tensor]]], config: Mapping[str, Any]
) -> Iterator[FactorLine]:
    for layer, factors in layers:
        for name, tensor in factors.items():
            for owner, part in _parts(name, tensor, config):
                shape, numbers = tuple(part.shape), part.numel()
                size = numbers * part.element_size()
                yield FactorLine(layer, name, shape, owner, numbers, size)


def _parts(
    name: str, tensor: Tensor, config: Mapping[str, Any]
) -> list[tuple[str, Tensor]]:
    """Split a factor by owner."""
    if name in FROZEN:
        return [("frozen", tensor)]
    owner = find_method(str(config.get("method") or "lora")).owners.get(name, "private")
    shared = COUPLINGS[str(config.get("coupling") or "full")].shared_factors
    if name in ("A", "B") and shared:
        return [("shared", tensor[:shared]), (owner, tensor[shared:])]
    return [(owner, tensor)]
