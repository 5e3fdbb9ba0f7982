"""Average whole adapters, factor by factor, and keep their method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .._adapter import Adapter, Factors
from .._errors import ConfigError


def average_factors(adapters: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Average every tensor of several adapters: A = sum_k w_k A_k, B alike.

    Unlike ``operators.merge.fuse`` this keeps banks, cores and routers, so the result
    can be put in place of any of the adapters. Heads trained beside them
    (``modules_to_save``) are averaged as well.

    Args:
        adapters: At least one, of one method, with the same layers, ranks and scales.
        weights: One finite number per adapter.

    Returns:
        An adapter with the config of the first.

    Raises:
        ConfigError: The adapters or weights do not fit together.

    Example:
        ``average_factors([first, second], [0.5, 0.5])``
    """
    _check(adapters, weights)
    first = adapters[0]
    layers = {
        layer: _average_layer(layer, [a.layers[layer] for a in adapters], weights)
        for layer in first.layers
    }
    extra = {
        key: _average_extra(key, [a.extra[key] for a in adapters], weights)
        for key in first.extra
    }
    return replace(first, layers=layers, extra=extra)


def _check(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    if not adapters or len(weights) != len(adapters):
        raise ConfigError(
            "average_factors: as many weights as adapters are needed, and one at "
            f"least, got {len(weights)} and {len(adapters)}."
        )
    if not all(map(math.isfinite, weights)):
        raise ConfigError(f"average_factors: weights must be finite, got {weights!r}.")
    first = adapters[0]
    for place, adapter in enumerate(adapters):
        for what, one, other in (
            ("layers", set(first.layers), set(adapter.layers)),
            ("tensors beside the layers", set(first.extra), set(adapter.extra)),
            ("tasks", first.tasks, adapter.tasks),
            ("coupling", first.coupling, adapter.coupling),
        ):
            if one != other:
                raise ConfigError(
                    f"average_factors: all adapters must have the same {what}, got "
                    f"others in adapter {place}. Average runs of one recipe."
                )


def _average_layer(
    layer: str, several: Sequence[Factors], weights: Sequence[float]
) -> Factors:
    shapes = [
        (f.scale, {name: tensor.shape for name, tensor in f.tensors().items()})
        for f in several
    ]
    for place, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ConfigError(
                f"average_factors: layer {layer} must have one scale and shape, got "
                f"{shapes[0]} and, in adapter {place}, {shape}. Average runs of one "
                "recipe, or merge with cotune.operators.merge."
            )
    tensors = [factors.tensors() for factors in several]
    averaged = {
        name: _average([each[name] for each in tensors], weights) for name in tensors[0]
    }
    return Factors(scale=several[0].scale, **averaged)


def _average_extra(
    key: str, tensors: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    if len({tensor.shape for tensor in tensors}) > 1:
        raise ConfigError(
            f"average_factors: {key} must have one shape in all adapters, got "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in tensors)}."
        )
    if not tensors[0].is_floating_point():
        return tensors[0]
    return _average(tensors, weights)


def _average(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    wide = torch.promote_types(tensors[0].dtype, torch.float32)
    total = torch.zeros_like(tensors[0], dtype=wide)
    for tensor, weight in zip(tensors, weights, strict=True):
        # A weight of 0 leaves the tensor out, so that the ends of a line are exact.
        if weight:
            total = total + weight * tensor.to(total)
    return total.to(tensors[0].dtype)
