"""Merge whole adapters, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..._adapter import Adapter, LowRank, plain_factors
from ..._errors import ConfigError
from ..convert._recompress import recompress
from ._inputs import check_inputs
from ._options import check_options, need_generator, wants
from ._plain_config import plain_config
from ._table import MERGE


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
    check_options(method, operator, options)
    handed: dict[str, object] = dict(options)
    if wants(operator, "generator"):
        handed["generator"] = need_generator(method, generator)
    if wants(operator, "rank"):
        handed["rank"] = rank
    names = _layer_names(adapters, layers)
    chosen = _tasks_of(adapters, tasks)
    _check_bases(adapters, any_base)
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
        extra=_extra_of(adapters),
    )
    return MergeResult(result, errors)


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
        # One layer at a time, so that a lazy mapping of layers is not read as a whole.
        adapter.with_layers({name: adapter.layers[name]}).updates(task)[name]
        if name in adapter.layers
        else None
        for adapter, task in zip(adapters, tasks, strict=True)
    ]
    like = next(update for update in found if update is not None)
    zero = LowRank(torch.zeros_like(like.A), torch.zeros_like(like.B))
    return [zero if update is None else update for update in found]


def _layer_names(
    adapters: Sequence[Adapter], layers: Literal["same", "union"]
) -> list[str]:
    if not adapters:
        raise ConfigError("merge_adapters: at least one adapter is needed, got none.")
    if layers not in ("same", "union"):
        raise ConfigError(
            f"merge_adapters: layers must be 'same' or 'union', got {layers!r}."
        )
    union = list(dict.fromkeys(name for each in adapters for name in each.layers))
    if not union:
        raise ConfigError("merge_adapters: the adapters must have layers, got none.")
    for place, adapter in enumerate(adapters):
        lacking = [name for name in union if name not in adapter.layers]
        if lacking and layers == "same":
            raise ConfigError(
                "merge_adapters: all adapters must have the same layers, but adapter "
                f"{place} lacks {len(lacking)} of {len(union)}, e.g. {lacking[0]}. "
                "Pass layers='union' to count a missing layer as a zero update."
            )
    return union


def _tasks_of(
    adapters: Sequence[Adapter], tasks: Sequence[str | None] | None
) -> list[str | None]:
    if tasks is None:
        return [None] * len(adapters)
    if isinstance(tasks, str) or len(tasks) != len(adapters):
        raise ConfigError(
            f"merge_adapters: tasks must be {len(adapters)} names, one per adapter, "
            f"got {tasks!r}. Use None for an adapter without tasks."
        )
    return list(tasks)


def _check_bases(adapters: Sequence[Adapter], any_base: bool) -> None:
    given = [adapter.config.get("base_model_name_or_path") for adapter in adapters]
    bases = list(dict.fromkeys(base for base in given if base))
    if len(bases) > 1 and not any_base:
        raise ConfigError(
            "merge_adapters: all adapters must be made for one base model, got "
            f"{', '.join(map(str, bases))}. If these are the same, pass any_base=True."
        )


def _extra_of(adapters: Sequence[Adapter]) -> dict[str, Tensor]:
    """Keep the tensors beside the layers; refuse two different ones of one name."""
    kept: dict[str, Tensor] = {}
    for place, adapter in enumerate(adapters):
        for key, tensor in adapter.extra.items():
            if key in kept and not torch.equal(kept[key], tensor):
                raise ConfigError(
                    f"merge_adapters: the name {key!r} must belong to one tensor, got "
                    f"another one in adapter {place}. These tensors (modules_to_save, "
                    "biases) cannot be merged: take them out of all adapters but one."
                )
            kept.setdefault(key, tensor)
    return kept
