"""Updates that a client adds to its frozen part and keeps there: FLoRA, FedEx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ..._adapter import LowRank
from ..._errors import ConfigError
from .._ownership import layers_of

Folds = dict[str, LowRank]
"""Layer -> what was added to its frozen weight so far."""

_MARKS = ("fold-A/", "fold-B/")


def add_folds(so_far: Mapping[str, LowRank], new: Mapping[str, LowRank]) -> Folds:
    """Add updates to those that were folded before. Pure.

    Factors are stacked, which is exact. A stack wider than the layer is multiplied out
    and kept as (identity, product): so it never takes more than the weight itself.

    Args:
        so_far: Layer -> update, in units of the base weight.
        new: Likewise.
    """
    return dict(so_far) | {
        name: _stack(so_far[name], x) if name in so_far else x
        for name, x in new.items()
    }


def _stack(one: LowRank, two: LowRank) -> LowRank:
    stack = LowRank(torch.cat([one.A, two.A]), torch.cat([one.B, two.B], dim=1))
    width = min(stack.shape)
    if stack.rank <= width:
        return stack
    product = stack.delta()
    if width == product.shape[1]:
        return LowRank(torch.eye(width, dtype=product.dtype), product)
    return LowRank(product, torch.eye(width, dtype=product.dtype))


def pack_folds(folds: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Name the tensors of folds, to be kept beside private ones."""
    return {
        f"{mark}{layer}": x
        for layer, fold in folds.items()
        for mark, x in zip(_MARKS, (fold.A, fold.B), strict=True)
    }


def unpack_folds(tensors: Mapping[str, Tensor]) -> tuple[Folds, dict[str, Tensor]]:
    """Tell folds from private tensors.

    Returns:
        The folds, and all that is not of them.
    """
    A, B = _MARKS
    layers = [name.removeprefix(A) for name in tensors if name.startswith(A)]
    folds = {n: LowRank(tensors[f"{A}{n}"], tensors[f"{B}{n}"]) for n in layers}
    rest = {n: x for n, x in tensors.items() if not n.startswith(_MARKS)}
    return folds, rest


@contextmanager
def folded(model: nn.Module, folds: Mapping[str, LowRank]) -> Iterator[None]:
    """Add folds to the frozen weights of a model, and put the old weights back.

    Args:
        model: Changed in place, while the context is open.
        folds: Layer -> update.

    Raises:
        ConfigError: A base layer is not a plain linear one in floating point, e.g. a
            quantised one.
    """
    layers = layers_of(model)
    kept: list[tuple[Any, nn.Parameter]] = []
    try:
        for name, fold in folds.items():
            base: Any = layers[name].get_base_layer()
            weight = base.weight
            if type(base) not in (nn.Linear, Conv1D) or not weight.is_floating_point():
                raise ConfigError(
                    f"federated: folding needs floating-point Linear or Conv1D layers, "
                    f"got {type(base).__name__} at {name}. Take an aggregation that "
                    "folds nothing, or load the base without quantisation."
                )
            delta = fold.delta().T if isinstance(base, Conv1D) else fold.delta()
            kept.append((base, weight))
            with torch.no_grad():
                base.weight = nn.Parameter(weight + delta.to(weight), False)
        yield
    finally:
        for base, weight in kept:
            base.weight = weight
