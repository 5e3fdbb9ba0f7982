"""Zero the smallest entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..._adapter import Adapter, Factors, LowRank, plain_factors
from ..._errors import ConfigError
from ..convert._recompress import in_working_precision, recompress, working_dtype
from ..merge._plain_config import plain_config
from ._result import PruneResult
from ._threshold import count_kept, keep_above, keep_largest, magnitude_threshold


def magnitude(
    adapter: Adapter,
    *,
    sparsity: float = 0.5,
    on: Literal["factors", "update"] = "factors",
    scope: Literal["tensor", "global"] = "tensor",
    task: str | None = None,
    rank: int | None = None,
    max_error: float | None = None,
) -> PruneResult:
    """Zero the entries of the smallest magnitude.

    Args:
        adapter: With ``on="factors"`` any adapter without a subtracted start; with
            ``on="update"`` any whose update can be resolved (no router).
        sparsity: Share of the entries that becomes zero, in [0, 1]: all but
            round((1 - sparsity) * n), at least one stays below 1; entries equal to the
            smallest one kept stay too.
        on: ``factors`` prunes A and B as they are stored (without the scale) and keeps
            the method of the adapter. ``update`` prunes B A, one layer at a time, and
            recompresses: the result is plain LoRA, near the sparse matrix, not sparse.
        scope: ``tensor`` takes the share of each tensor (bank A, bank B, or update);
            ``global`` of all entries together, under one threshold.
        task: With ``on="update"``: whose update; None takes the default task.
        rank: With ``on="update"``: rank of the result; None keeps that of each layer,
            or sets no limit where ``max_error`` is given.
        max_error: With ``on="update"``: the smallest rank with at most this error.

    Returns:
        The pruned adapter; with ``on="update"`` also the recompression errors.

    Raises:
        ConfigError: An option outside its range or without use, or an adapter that the
            choice of ``on`` does not fit.

    Source: arXiv:2506.05713 (CoTo), unstructured pruning, which is ``on="factors"``.
    """
    if not 0 <= sparsity <= 1:
        raise ConfigError(f"magnitude: sparsity must be in [0, 1], got {sparsity!r}.")
    if on not in ("factors", "update") or scope not in ("tensor", "global"):
        raise ConfigError(
            "magnitude: on must be 'factors' or 'update' and scope 'tensor' or "
            f"'global', got {on!r} and {scope!r}."
        )
    if on == "update":
        return _prune_update(adapter, 1 - sparsity, scope, task, rank, max_error)
    if (task, rank, max_error) != (None, None, None):
        raise ConfigError(
            "magnitude: task, rank and max_error act only with on='update', got "
            f"task={task!r}, rank={rank!r}, max_error={max_error!r}."
        )
    return _prune_factors(adapter, 1 - sparsity, scope)


def _prune_factors(adapter: Adapter, density: float, scope: str) -> PruneResult:
    started = [name for name, each in adapter.layers.items() if each.A0 is not None]
    if started:
        raise ConfigError(
            "magnitude: on='factors' needs factors whose zero is the base model, got a "
            f"subtracted start in {started[0]}. Use on='update'."
        )

    def banks() -> Iterator[Tensor]:
        for factors in adapter.layers.values():
            yield factors.A
            yield factors.B

    shrink = _shrinker(banks, density, scope)
    layers: dict[str, Factors] = {
        name: replace(factors, A=shrink(factors.A), B=shrink(factors.B))
        for name, factors in adapter.layers.items()
    }
    return PruneResult(adapter.with_layers(layers))


def _prune_update(
    adapter: Adapter,
    density: float,
    scope: str,
    task: str | None,
    rank: int | None,
    max_error: float | None,
) -> PruneResult:
    def deltas() -> Iterator[Tensor]:
        for name in adapter.layers:
            yield in_working_precision(adapter.update(name, task)).delta()

    shrink = _shrinker(deltas, density, scope)
    layers: dict[str, LowRank] = {}
    errors: dict[str, float] = {}
    for name in adapter.layers:
        update = adapter.update(name, task)
        limit = update.rank if rank is None and max_error is None else rank
        layers[name], errors[name] = recompress(
            shrink(in_working_precision(update).delta()),
            limit,
            max_error=max_error,
            dtype=update.B.dtype,
        )
    plain = Adapter(
        layers={name: plain_factors(update) for name, update in layers.items()},
        config=plain_config([adapter.config], layers),
        extra=adapter.extra,
    )
    return PruneResult(plain, errors=errors)


def _shrinker(
    tensors: Callable[[], Iterable[Tensor]], density: float, scope: str
) -> Callable[[Tensor], Tensor]:
    """Return the function that zeroes the small entries of one tensor."""
    if scope == "tensor":
        return lambda tensor: keep_largest(tensor, density)
    total, dtype = 0, torch.float32
    for tensor in tensors():
        total += tensor.numel()
        dtype = working_dtype(dtype, tensor.dtype)
    threshold = magnitude_threshold(tensors, count_kept(total, density), dtype)
    return lambda tensor: keep_above(tensor, threshold)
