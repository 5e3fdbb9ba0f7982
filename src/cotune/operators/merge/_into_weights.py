"""Merge whole adapters into the weights of their base model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..._adapter import Adapter, LowRank
from ..._errors import ConfigError
from ._walk import Progress, Walk


def merge_into_weights(
    weights_of: Mapping[str, Tensor],
    adapters: Sequence[Adapter],
    *,
    method: str,
    weights: Sequence[float] | None = None,
    tasks: Sequence[str | None] | None = None,
    layers: Literal["same", "union"] = "same",
    any_base: bool = False,
    transposed: Collection[str] | None = None,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    **options: object,
) -> Iterator[tuple[str, Tensor]]:
    """Merge several adapters, and add the result to base weights, layer by layer.

    Nothing is recompressed: the sum is what the operator defines, rounded once.

    Args:
        weights_of: Layer name -> base weight, (d_out, d_in), or (d_in, d_out) for the
            layers in ``transposed``. Not changed.
        adapters: As in :func:`merge_adapters`.
        method: A name in ``MERGE``.
        weights: As in :func:`merge_adapters`.
        tasks: As in :func:`merge_adapters`.
        layers: As in :func:`merge_adapters`.
        any_base: As in :func:`merge_adapters`.
        transposed: Layers that hold their weight as (d_in, d_out), as Conv1D does. A
            square weight does not show it. None: all of them where a config of PEFT
            says ``fan_in_fan_out``, none else; configs of cotune do not say it.
        generator: Needed by methods that draw.
        progress: Told after every layer.
        **options: The keyword-only arguments of the method.

    Yields:
        Layer name and new weight, in the dtype and on the device of the old one.

    Raises:
        ConfigError: As :func:`merge_adapters`; a layer that the weights lack or have in
            another shape; adapters with tensors beside the layers.
    """
    walk = Walk(
        adapters, method, weights, None, tasks, layers, any_base, generator, options
    )
    beside = [key for adapter in adapters for key in adapter.extra]
    if beside:
        raise ConfigError(
            "merge_into_weights: adapters must hold nothing but low-rank layers, got "
            f"{beside[0]}. Merge them into an adapter instead; PEFT loads it with "
            "these tensors."
        )
    if transposed is None:
        turned = any(adapter.config.get("fan_in_fan_out") for adapter in adapters)
        transposed = walk.names if turned else ()
    _check_weights(walk, weights_of, transposed)
    for name, result, _ in walk.layers(progress):
        delta = result.delta() if isinstance(result, LowRank) else result
        old = weights_of[name]
        delta = (delta.T if name in transposed else delta).to(old.device)
        # The sum has the wider dtype of the two, and is rounded once.
        yield name, (old + delta).to(old.dtype)


def _check_weights(
    walk: Walk, weights_of: Mapping[str, Tensor], transposed: Collection[str]
) -> None:
    for name in walk.names:
        shape = walk.updates_of(name)[0].shape
        wanted = shape[::-1] if name in transposed else shape
        if name not in weights_of or tuple(weights_of[name].shape) != wanted:
            found = weights_of.get(name)
            raise ConfigError(
                f"merge_into_weights: the base model must have a weight of shape "
                f"{wanted} for {name}, got "
                f"{'none' if found is None else tuple(found.shape)}. Is it the base "
                "that the adapters were trained on, and its layout named in "
                "`transposed`?"
            )
