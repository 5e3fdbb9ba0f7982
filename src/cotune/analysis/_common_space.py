"""What one space for all tasks must lose of the spaces that they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .._errors import ConfigError
from ..operators.convert._linalg import qr, svd

Spans = Mapping[str, Sequence[Tensor]]
"""Layer -> one matrix per task, (d, k_t); its columns span the task's space."""


@dataclass(frozen=True)
class Loss:
    """Squares, summed over tasks.

    Args:
        whole: Of all there is.
        lost: Of what the best common space loses.
        lost_at_random: The same for spaces that have nothing to do with each other.
    """

    whole: float
    lost: float
    lost_at_random: float

    @property
    def missed(self) -> float:
        """Return what is lost as a root mean square share, in [0, 1]."""
        return (self.lost / self.whole) ** 0.5 if self.whole else 0.0

    @property
    def random(self) -> float:
        """Return :attr:`missed` of spaces without a relation."""
        return (self.lost_at_random / self.whole) ** 0.5 if self.whole else 0.0


def add_losses(losses: Iterable[Loss]) -> Loss:
    """Sum the squares of several layers."""
    every = [(one.whole, one.lost, one.lost_at_random) for one in losses]
    return Loss(*(sum(column) for column in zip(*every, strict=True)))


def lose_all(
    tasks: Sequence[str], spans: Spans, rank: int, dice: torch.Generator
) -> dict[str, Loss]:
    """Compute what one space for all tasks must lose, layer by layer.

    Args:
        tasks: Names, in the order of the matrices.
        spans: Of every layer. Scaled here so that all tasks count alike.
        rank: Dimension of the common space.
        dice: Draws the spaces without a relation.

    Returns:
        Layer -> loss.

    Raises:
        ConfigError: A task whose matrices are all zero.
    """
    squares = [[float(m.square().sum()) for m in own] for own in spans.values()]
    lengths = [sum(column) ** 0.5 for column in zip(*squares, strict=True)]
    zero = [t for t, length in zip(tasks, lengths, strict=True) if length == 0]
    if zero:
        raise ConfigError(
            f"sharing: every task must have an update, got zero for {', '.join(zero)}. "
            "Train it for some steps."
        )
    return {
        layer: _lose(
            [m / length for m, length in zip(own, lengths, strict=True)], rank, dice
        )
        for layer, own in spans.items()
    }


def _lose(spans: Sequence[Tensor], rank: int, dice: torch.Generator) -> Loss:
    """Return what the best common space of a rank loses of several spans."""
    turned = [_turn(span, dice) for span in spans]
    return Loss(
        sum(float(span.square().sum()) for span in spans),
        _tail(spans, rank),
        _tail(turned, rank),
    )


def _turn(span: Float[Tensor, "d k"], dice: torch.Generator) -> Float[Tensor, "d m"]:
    """Keep the singular values and draw the space."""
    values = svd(qr(span)[1])[1]
    shape, place = (len(span), len(values)), dice.device
    drawn = torch.randn(shape, generator=dice, device=place, dtype=span.dtype)
    return qr(drawn.to(span.device))[0] * values


def _tail(spans: Sequence[Float[Tensor, "d k"]], rank: int) -> float:
    # The singular values of R are those of the whole, and R is small.
    values = svd(qr(torch.cat(list(spans), dim=1))[1])[1]
    return float(values[rank:].square().sum())
