"""Reuse the activations below the first block that changed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..._errors import ConfigError


class ActivationCache:
    """Keeps the outputs of a chain of blocks, and skips blocks whose output is known.

    Evaluating sets of adapters means running the same batches again and again, with
    only some blocks changed. Blocks before the first change need not run. One output
    is kept per block and forward pass; the game walks its sets so that this is enough.

    What must hold: a block sees nothing of the batch but what the blocks before it and
    the inputs of the first block say; the model is in evaluation mode, without
    gradients, and gets the same batches in the same order. Inputs of the first block
    are compared with those kept, and a pass with others runs in full. So does a pass
    with a key-value cache, which skipped blocks would not fill, and all passes of a
    model that runs a block twice or in another order.

    Args:
        blocks: The chain, from input to output.
        limit_bytes: Most memory for outputs; what does not fit is computed again.

    Raises:
        ConfigError: No blocks.

    Example:
        ``with cache.reuse([name in active for name in groups]): loss = evaluate()``
    """

    def __init__(
        self, blocks: Sequence[nn.Module], *, limit_bytes: int = 2 * 1024**3
    ) -> None:
        if not blocks:
            raise ConfigError("ActivationCache: blocks must be given, got none.")
        self.blocks = tuple(blocks)
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self.ran = 0
        self.skipped = 0
        self.is_chain = True
        self._passes: dict[int, _Pass] = {}

    @contextmanager
    def reuse(self, states: Sequence[Hashable]) -> Generator[None, None, None]:
        """Run one evaluation over all batches.

        Args:
            states: Per block, what its output depends on beside its input, e.g.
                whether its adapters are on.

        Raises:
            ConfigError: Not one state per block.
        """
        if len(states) != len(self.blocks):
            raise ConfigError(
                f"ActivationCache: one state per block is needed, got {len(states)} "
                f"for {len(self.blocks)} blocks."
            )
        run = _Run(self, tuple(states))
        for place, block in enumerate(self.blocks):
            # On the instance, for as long as the evaluation lasts: hooks cannot skip.
            block.__dict__["forward"] = run.wrap(place, block.forward)
        try:
            yield
        finally:
            for block in self.blocks:
                del block.__dict__["forward"]

    def clear(self) -> None:
        """Forget all activations."""
        self._passes.clear()
        self.bytes = 0

    def begin(self, number: int, inputs: Sequence[Any]) -> _Pass | None:
        """Return what is kept of a forward pass; None if it must run in full."""
        if not self.is_chain or not all(map(_is_plain, inputs)):
            return None
        kept = self._passes.get(number)
        if kept is None or not _are_equal(kept.inputs, inputs):
            if kept is not None:
                self.bytes -= sum(map(_bytes, kept.outputs.values()))
            kept = self._passes[number] = _Pass(list(inputs))
        return kept

    def keep(self, record: _Pass, place: int, states: Any, output: Any) -> None:
        """Keep the output of a block, if there is room."""
        freed = _bytes(record.outputs.pop(place, None))
        record.states.pop(place, None)
        self.bytes -= freed
        if _is_plain(output) and self.bytes + _bytes(output) <= self.limit_bytes:
            record.outputs[place] = output
            record.states[place] = states
            self.bytes += _bytes(output)


class _Pass:
    """What is kept of one forward pass over one batch."""

    def __init__(self, inputs: list[Any]) -> None:
        self.inputs = inputs
        self.outputs: dict[int, Any] = {}
        self.states: dict[int, tuple[Hashable, ...]] = {}


class _Run:
    """One evaluation: which pass it is in, and how many blocks of it are known."""

    def __init__(self, cache: ActivationCache, states: tuple[Hashable, ...]) -> None:
        self.cache, self.states = cache, states
        self.number = -1
        self.known = 0
        self.last = -1
        self.record: _Pass | None = None

    def wrap(self, place: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run_block(*args: Any, **kwargs: Any) -> Any:
            if place == 0:
                self._begin([*args, *(kwargs[name] for name in sorted(kwargs))])
            elif place <= self.last:
                # Seen in the first evaluation, before anything was skipped.
                self.cache.is_chain, self.record = False, None
            self.last = place
            if self.record is not None and place < self.known:
                self.cache.skipped += 1
                return self.record.outputs[place]
            self.cache.ran += 1
            output = forward(*args, **kwargs)
            if self.record is not None:
                prefix = self.states[: place + 1]
                self.cache.keep(self.record, place, prefix, output)
            return output

        return run_block

    def _begin(self, inputs: list[Any]) -> None:
        self.number += 1
        self.record = self.cache.begin(self.number, inputs)
        self.known = 0
        if self.record is None:
            return
        while self.record.states.get(self.known) == self.states[: self.known + 1]:
            self.known += 1
            if self.known == len(self.states):
                break


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, cast("Sequence[Any]", value)))
    return value is None or isinstance(value, (Tensor, bool, int, float, str))


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype
        return same and torch.equal(one, other)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        first, second = cast("list[Any]", one), cast("list[Any]", other)
        return len(first) == len(second) and all(map(_are_equal, first, second))
    return bool(one == other)


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, (tuple, list)):
        return sum(map(_bytes, cast("list[Any]", value)))
    return 0
