"""Adapters that fit together, and their merge, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..._adapter import Adapter, LowRank
from ..._errors import ConfigError
from ._inputs import check_inputs
from ._options import check_options, need_generator, wants
from ._table import MERGE
from ._together import check_bases, layer_names, tasks_of

Progress = Callable[[int, int], None]
"""Told after every layer: how many are done, and how many there are."""


class Walk:
    """Adapters that were checked, and their merge.

    Args:
        adapters: As in ``merge_adapters``, and so the others.
        method: A name in ``MERGE``.
        weights: One per adapter; None gives 1 / n each.
        rank: Handed to the operators that ask for it.
        tasks: Which task of each adapter.
        layers: ``same`` or ``union``.
        any_base: Whether base models may differ.
        generator: Handed to the operators that draw.
        options: Of the operator.

    Raises:
        ConfigError: They do not fit together.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter],
        method: str,
        weights: Sequence[float] | None,
        rank: int | None,
        tasks: Sequence[str | None] | None,
        layers: str,
        any_base: bool,
        generator: torch.Generator | None,
        options: Mapping[str, object],
    ) -> None:
        if method == "ensemble":
            raise ConfigError(
                "merge_adapters: ensemble averages logits and makes no adapter. Call "
                "cotune.operators.merge.ensemble with the logits of each adapter."
            )
        self._operator = MERGE[method]
        self._options = _options_for(method, self._operator, options, generator, rank)
        self.names = layer_names(adapters, layers)
        self._adapters, self._tasks = adapters, tasks_of(adapters, tasks)
        check_bases(adapters, any_base)
        equal = [1 / len(adapters)] * len(adapters)
        self._weights = equal if weights is None else weights
        self._last: tuple[str, list[LowRank]] = ("", [])

    def updates_of(self, name: str) -> list[LowRank]:
        """Resolve one layer of every adapter; zeros where an adapter lacks it."""
        if self._last[0] != name:
            # The old layer goes before the new one comes: memory is one layer.
            self._last = ("", [])
            self._last = (name, _updates_of(self._adapters, self._tasks, name))
        return self._last[1]

    def layers(
        self, progress: Progress | None
    ) -> Iterator[tuple[str, LowRank | Tensor, torch.dtype]]:
        """Yield name, merged update in working precision, and the dtype given."""
        for done, name in enumerate(self.names, start=1):
            with naming(name):
                merged, dtype = self._merge(name)
            yield name, merged, dtype
            del merged
            if progress is not None:
                progress(done, len(self.names))

    def _merge(self, name: str) -> tuple[LowRank | Tensor, torch.dtype]:
        updates = self.updates_of(name)
        inputs = check_inputs("merge_adapters", updates, self._weights)
        # The operator sees working precision: bf16 is rounded once, at the end.
        merged = self._operator(inputs.updates, inputs.weights, **self._options)
        return merged, inputs.dtype


@contextmanager
def naming(layer: str) -> Generator[None]:
    """Put the name of a layer before the message of what goes wrong in it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"layer {layer}: {error}") from error


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
