"""Merge whole adapters, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..._adapter import Adapter, LowRank, plain_factors
from ..._errors import ConfigError
from ..convert._recompress import recompress
from ._inputs import check_inputs
from ._options import check_options, need_generator, wants
from ._plain_config import plain_config
from ._table import MERGE
from ._together import check_bases, extra_of, layer_names, tasks_of


@dataclass(frozen=True)
class MergeResult:
    """A merged adapter and what its rank cost.

    Args:
        adapter: Plain LoRA, scale 1, layers named and ordered as in the adapters given.
        errors: Layer name -> relative Frobenius error of the recompression: how far the
            low-rank result is from what the operator defined.
    """

    adapter: Adapter
    errors: Mapping[str, float]

    @property
    def worst(self) -> float:
        """Return the largest error of a layer."""
        return max(self.errors.values())


def merge_adapters(
    adapters: Sequence[Adapter],
    *,
    method: str,
    weights: Sequence[float] | None = None,
    rank: int | None = None,
    max_error: float | None = None,
    tasks: Sequence[str | None] | None = None,
    layers: Literal["same", "union"] = "same",
    any_base: bool = False,
    svd_iterations: int | None = None,
    generator: torch.Generator | None = None,
    **options: object,
) -> MergeResult:
    """Merge several adapters into one plain LoRA adapter.

    One layer of each adapter is resolved, merged and recompressed at a time.

    Args:
        adapters: At least one; the same one may come several times, with other
            ``tasks``. Not changed.
        method: A name in ``MERGE``.
        weights: One per adapter; None gives 1 / n each. How they are read is the
            method's: as they are (``fuse``, ``mix``, ``align``) or by their ratios.
        rank: Rank of the result. None takes the largest rank given in each layer, or no
            limit where ``max_error`` is given. ``mix`` with a rank of at least the sum
            of the ranks is exact.
        max_error: Take the smallest rank whose relative error is at most this.
        tasks: Which task of each adapter is merged; None takes the default tasks.
        layers: ``same`` refuses adapters whose layer names differ; ``union`` takes all,
            and a layer that an adapter lacks counts as a zero update.
        any_base: Merge even if the configs name different base models.
        svd_iterations: Of the SVD of dense results (``ties``, ``dare``): None is exact;
            a number is a random subspace, faster, with its error measured as well.
        generator: Needed by methods that draw, and by ``svd_iterations``.
        **options: The keyword-only arguments of the method, e.g. ``density``.

    Returns:
        The merged adapter and the recompression error of each layer.

    Raises:
        ConfigError: An unknown method or option, adapters that do not fit together, or
            tensors beside the layers (``modules_to_save``) that collide.
    """
    if method == "ensemble":
        raise ConfigError(
            "merge_adapters: ensemble averages logits and makes no adapter. Call "
            "cotune.operators.merge.ensemble with the logits of each adapter."
        )
    operator = MERGE[method]
    handed = _options_for(method, operator, options, generator, rank)
    names = layer_names(adapters, layers)
    chosen = tasks_of(adapters, tasks)
    check_bases(adapters, any_base)
    weights = [1 / len(adapters)] * len(adapters) if weights is None else weights

    merged: dict[str, LowRank] = {}
    errors: dict[str, float] = {}
    for name in names:
        updates = _updates_of(adapters, chosen, name)
        limit = rank
        if rank is None and max_error is None:
            limit = max(update.rank for update in updates)
        try:
            merged[name], errors[name] = _merge_layer(
                operator,
                updates,
                weights,
                handed,
                limit,
                max_error,
                svd_iterations,
                generator,
            )
        except ConfigError as error:
            raise ConfigError(f"layer {name}: {error}") from error
    configs = [adapter.config for adapter in adapters]
    result = Adapter(
        layers={name: plain_factors(update) for name, update in merged.items()},
        config=plain_config(configs, merged),
        extra=extra_of(adapters),
    )
    return MergeResult(result, errors)


def _options_for(
    method: str,
    operator: Callable[..., Any],
    options: Mapping[str, object],
    generator: torch.Generator | None,
    rank: int | None,
) -> dict[str, object]:
    check_options(method, operator, options)
    handed = dict(options)
    if wants(operator, "generator"):
        handed["generator"] = need_generator(method, generator)
    if wants(operator, "rank"):
        handed["rank"] = rank
    return handed


def _merge_layer(
    operator: Callable[..., LowRank | Tensor],
    updates: Sequence[LowRank],
    weights: Sequence[float],
    options: Mapping[str, object],
    rank: int | None,
    max_error: float | None,
    iterations: int | None,
    generator: torch.Generator | None,
) -> tuple[LowRank, float]:
    inputs = check_inputs("merge_adapters", updates, weights)
    # The operator sees working precision, so that bf16 is rounded once, at the end.
    result = operator(inputs.updates, inputs.weights, **options)
    dense = not isinstance(result, LowRank)
    return recompress(
        result,
        rank,
        max_error=max_error,
        iterations=iterations if dense else None,
        generator=generator if dense else None,
        dtype=inputs.dtype,
    )


def _updates_of(
    adapters: Sequence[Adapter], tasks: Sequence[str | None], name: str
) -> list[LowRank]:
    """Resolve one layer of every adapter; zeros where an adapter lacks it."""
    found = [
        adapter.update(name, task) if name in adapter.layers else None
        for adapter, task in zip(adapters, tasks, strict=True)
    ]
    like = next(update for update in found if update is not None)
    zero = LowRank(torch.zeros_like(like.A), torch.zeros_like(like.B))
    return [zero if update is None else update for update in found]
