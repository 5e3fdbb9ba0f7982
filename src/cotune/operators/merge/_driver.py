"""Merge whole adapters, one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from ..._adapter import Adapter, LowRank, plain_factors
from ..convert._recompress import recompress
from ._plain_config import plain_config
from ._together import extra_of
from ._walk import Progress, Walk, naming


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
    progress: Progress | None = None,
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
        progress: Told after every layer: how many are done, and how many there are.
        **options: The keyword-only arguments of the method, e.g. ``density``.

    Returns:
        The merged adapter and the recompression error of each layer.

    Raises:
        ConfigError: An unknown method or option, adapters that do not fit together, or
            tensors beside the layers (``modules_to_save``) that collide.
    """
    walk = Walk(
        adapters, method, weights, rank, tasks, layers, any_base, generator, options
    )
    merged: dict[str, LowRank] = {}
    errors: dict[str, float] = {}
    for name, result, dtype in walk.layers(progress):
        limit = rank
        if rank is None and max_error is None:
            limit = max(update.rank for update in walk.updates_of(name))
        dense = not isinstance(result, LowRank)
        with naming(name):
            merged[name], errors[name] = recompress(
                result,
                limit,
                max_error=max_error,
                iterations=svd_iterations if dense else None,
                generator=generator if dense else None,
                dtype=dtype,
            )
    configs = [adapter.config for adapter in adapters]
    made = Adapter(
        layers={name: plain_factors(update) for name, update in merged.items()},
        config=plain_config(configs, merged),
        extra=extra_of(adapters),
    )
    return MergeResult(made, errors)
