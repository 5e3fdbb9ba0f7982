"""What an adapter must know of the layer below it, whatever its kind."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from .._errors import ConfigError


def features_of(base_layer: nn.Module) -> tuple[int, int]:
    """Return (d_in, d_out) of a layer.

    Raises:
        ConfigError: The layer does not say.
    """
    if isinstance(base_layer, Conv1D):
        d_in, d_out = base_layer.weight.shape
        return d_in, d_out
    for names in (("in_features", "out_features"), ("infeatures", "outfeatures")):
        d_in, d_out = (getattr(base_layer, name, None) for name in names)
        if isinstance(d_in, int) and isinstance(d_out, int):
            return d_in, d_out
    raise ConfigError(
        "target_modules: must name layers with in_features and out_features, got "
        f"{type(base_layer).__name__}. Choose linear layers, e.g. 'all-linear'."
    )


def matrix_of(base_layer: nn.Module) -> Float[Tensor, "d_out d_in"] | None:
    """Return the weight as numbers that can be decomposed, or None.

    Args:
        base_layer: Any layer. Conv1D holds its weight transposed.

    Returns:
        A detached view; None where there is no matrix of floating-point numbers.
    """
    weight = getattr(base_layer, "weight", None)
    if weight is None or not weight.is_floating_point() or weight.ndim != 2:
        return None
    weight = weight.detach()
    return weight.t() if isinstance(base_layer, Conv1D) else weight


def like_weight_of(
    base_layer: nn.Module, delta: Float[Tensor, "d_out d_in"]
) -> Float[Tensor, "rows columns"]:
    """Give an update the layout, dtype and device of the base weight.

    Args:
        base_layer: A layer with a weight.
        delta: The update.

    Returns:
        (d_in, d_out) for Conv1D, else (d_out, d_in); in fp32 beside a quantised weight,
        whose integers cannot hold an update.
    """
    base: Any = base_layer
    dtype = base.weight.dtype if base.weight.is_floating_point() else torch.float32
    delta = delta.t() if isinstance(base, Conv1D) else delta
    return delta.to(device=base.weight.device, dtype=dtype)


def check_mergeable(base_layer: nn.Module) -> None:
    """Refuse a layer whose weight is not simply what the input is multiplied with.

    Raises:
        ConfigError: A subclass of Linear, a quantised weight, or another kind of layer.
    """
    base: Any = base_layer
    if type(base) not in (nn.Linear, Conv1D) or not base.weight.is_floating_point():
        raise ConfigError(
            f"merge: needs a floating-point Linear or Conv1D, got "
            f"{type(base).__name__}. Export to plain LoRA instead."
        )
