"""The streaming weighted mean, and the base of all methods that are just that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ._aggregator import Aggregator
from ._packet import Cohort, Layers, Packet, Received, Seat, Shapes, Site, Tensors
from ._round import BLOCK, Reply, Step


def weighted_mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Average tensors of one shape, one after the other.

    A running mean, m += (w_k / (w_1 + .. + w_k)) (x_k - m), because it is exact, bit
    for bit, where it should be: for one tensor, and for equal ones. Dividing a sum by
    the total weight is neither.

    Args:
        tensors: At least one, all of one shape.
        weights: One per tensor, at least 0; at least one is above 0.

    Returns:
        A new tensor, in float32, or float64 if the tensors are.
    """
    used = [(x, w) for x, w in zip(tensors, weights, strict=True) if w > 0]
    work = torch.promote_types(used[0][0].dtype, torch.float32)
    mean = used[0][0].to(work, copy=len(used) == 1)
    total = used[0][1]
    for index, (x, weight) in enumerate(used[1:]):
        total += weight
        out = mean if index else None  # the first one is the caller's
        mean = torch.lerp(mean, x.to(work), weight / total, out=out)
    return mean


class RunningMean:
    """The mean of many tensors of one shape, in the memory of one.

    A block is averaged in float32, and blocks in float64, so the rounding error does
    not grow with the number of tensors.

    Attributes:
        total: Sum of the weights so far.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._value: Tensor | None = None

    def add(self, tensors: Sequence[Tensor], weights: Sequence[float]) -> None:
        """Average some more tensors, at best ``BLOCK`` at a time.

        Args:
            tensors: At least one; not modified, and not kept.
            weights: One per tensor, at least 0.
        """
        weight = math.fsum(weights)
        if weight == 0:
            return
        self.total += weight
        block = weighted_mean(tensors, weights)
        if self._value is not None:
            share = weight / self.total
            block = torch.lerp(self._value.double(), block.double(), share)
        self._value = block

    def value(self) -> Tensor:
        """Return the mean, in float32 or float64; there must be one."""
        assert self._value is not None
        return self._value


def block_mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Average tensors that are all there, as :class:`RunningMean` does.

    Args:
        tensors: At least one, all of one shape; not modified.
        weights: One per tensor, at least 0; at least one is above 0.

    Returns:
        The mean, in float32 or float64.
    """
    mean = RunningMean()
    for start in range(0, len(tensors), BLOCK):
        mean.add(tensors[start : start + BLOCK], weights[start : start + BLOCK])
    return mean.value()


class Mean(Step):
    """A step that averages, in memory of one reply whatever the number of clients.

    Args:
        state: Gives the dtype of the result and the scale.
        before: Applied to every packet first.
        after: Makes the new layers from the means.
    """

    def __init__(
        self,
        state: Packet,
        before: Callable[[Packet], Packet] | None = None,
        after: Callable[[Layers], Layers] | None = None,
    ) -> None:
        self._state = state
        self._before = before
        self._after = after
        self._means: dict[str, dict[str, RunningMean]] = {}

    def fold(self, replies: Sequence[Reply]) -> None:
        """Average the replies into the mean."""
        before = self._before
        packets = [before(r.packet) if before else r.packet for r in replies]
        weights = [reply.weight for reply in replies]
        for layer, tensors in packets[0].layers.items():
            means = self._means.setdefault(layer, {})
            for role in tensors:
                mean = means.setdefault(role, RunningMean())
                mean.add([p.layers[layer][role] for p in packets], weights)

    def means(self) -> Layers:
        """Return the means as they are, in float32 or float64."""
        return {
            layer: {role: mean.value() for role, mean in means.items()}
            for layer, means in self._means.items()
        }

    def result(self) -> Packet:
        """Return the mean, in the dtype of the state."""
        layers = self._after(self.means()) if self._after else self.means()
        return Packet(cast_like(layers, self._state.layers), self._state.scale)


def cast_like(layers: Layers, like: Layers) -> Layers:
    """Give every tensor the dtype of the one with its layer and role in ``like``."""
    return {
        layer: {role: x.to(like[layer][role].dtype) for role, x in tensors.items()}
        for layer, tensors in layers.items()
    }


class MeanAggregator(Aggregator):
    """Base of the methods that average some roles over clients of one rank.

    A method only says who owns what; server and client need no mathematics of its own.
    """

    linear = True
    equal_uploads = True
    equal_ranks = True

    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return the shapes of the shared factors."""
        shapes: Shapes = {"A": (rank, site.d_in), "B": (site.d_out, rank)}
        return {role: shapes[role] for role in self.shared}

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return the same shapes: down is what went up."""
        del cohort
        return self.up_shapes(site, rank)

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Load the shared factors; nothing is folded."""
        del seat
        return Received(got.layers)

    def start(self, first: Packet) -> Packet:
        """Take the shared factors of the common start."""
        return first.pick(self.shared)

    def step(self, state: Packet) -> Mean:
        """Average."""
        return Mean(state)

    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes of the state: all clients have its rank."""
        return {role: tuple(state[role].shape) for role in sent}
