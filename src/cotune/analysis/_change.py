"""How far training moved the factors of an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from .._adapter import Adapter
from .._errors import ConfigError
from ._result import Result, Row


@dataclass(frozen=True)
class FactorChange:
    """The change of one factor of one layer.

    Args:
        layer: Name of the layer.
        factor: ``A`` or ``B``.
        member: Place in its bank, from 0.
        cosine: Of the whole matrix, as a vector, with what it was; in [-1, 1].
        magnitude: Mean over columns of | ||m_t|| - ||m_0|| |, >= 0.
        direction: Mean over columns of 1 - cos(m_t, m_0), in [0, 2].
    """

    layer: str
    factor: str
    member: int
    cosine: float
    magnitude: float
    direction: float


@dataclass(frozen=True)
class Change(Result):
    """Changes of all factors.

    Args:
        reference: What they are compared with, in words.
        changes: One per layer, factor and member of its bank.
    """

    reference: str
    changes: tuple[FactorChange, ...]
    name: ClassVar[str] = "change"

    def summary(self) -> dict[str, Any]:
        """Return the means over the layers, per factor."""
        document: dict[str, Any] = {"reference": self.reference}
        for factor in dict.fromkeys(change.factor for change in self.changes):
            mine = [change for change in self.changes if change.factor == factor]
            document[factor] = {
                number: fmean(getattr(change, number) for change in mine)
                for number in ("cosine", "magnitude", "direction")
            }
        return document

    def rows(self) -> list[Row]:
        """Return one row per layer, factor and member."""
        return [asdict(change) for change in self.changes]

    def draw(self, axes: Any) -> None:
        """Draw the change of direction along the layers."""
        for factor in dict.fromkeys(change.factor for change in self.changes):
            mine = [change for change in self.changes if change.factor == factor]
            heights = [change.direction for change in mine]
            axes.plot(range(len(heights)), heights, marker="o", label=factor)
        axes.set_xlabel("layer")
        axes.set_ylabel("1 - cosine, mean over columns")
        axes.set_title(f"change of direction since {self.reference}")
        axes.legend(fontsize="small")


def change_from_start(
    start: Adapter,
    adapter: Adapter,
    *,
    factors: Sequence[str] = ("A",),
    reference: str = "the start",
) -> Change:
    """Compare an adapter with an earlier state of it.

    Columns are those of A (r x d_in) and B (d_out x r) as matrices.

    Args:
        start: The earlier state. B is 0 at the very start, so for B take the state
            after some steps.
        adapter: The later state, with the same layers and shapes.
        factors: ``A``, ``B`` or both.
        reference: What ``start`` is, in words, e.g. ``step 50``; kept in the result.

    Returns:
        The changes, in the order of the layers.

    Raises:
        ConfigError: Layers or shapes that differ, an unknown factor, or one that is
            zero in ``start``.

    Source: arXiv:2509.25414 (ALoRA); magnitude and direction as in arXiv:2402.09353
    (DoRA), section 3.2.
    """
    if not factors or not {"A", "B"}.issuperset(factors):
        raise ConfigError(
            f"change_from_start: factors must be A, B or both, got {list(factors)}."
        )
    if list(start.layers) != list(adapter.layers):
        raise ConfigError(
            "change_from_start: both states must have the same layers, got "
            f"{len(start.layers)} and {len(adapter.layers)} that differ. Compare two "
            "states of one run."
        )
    changes = tuple(
        change
        for layer in adapter.layers
        for factor in factors
        for change in _changes(start, adapter, layer, factor)
    )
    return Change(reference, changes)


def _changes(
    start: Adapter, adapter: Adapter, layer: str, factor: str
) -> Iterator[FactorChange]:
    before = getattr(start.layers[layer], factor).double()
    after = getattr(adapter.layers[layer], factor).double()
    if before.shape != after.shape:
        raise ConfigError(
            f"change_from_start: {factor} of {layer} must have one shape, got "
            f"{tuple(before.shape)} and {tuple(after.shape)}."
        )
    for member, (old, new) in enumerate(zip(before, after, strict=True)):
        if not old.any():
            raise ConfigError(
                f"change_from_start: {factor} of {layer} must not be zero in the "
                "state to compare with, got zeros. B starts at zero: pass the state "
                "after a number of steps."
            )
        cosine = float(_cosine(old.flatten()[:, None], new.flatten()[:, None]))
        magnitude = (_lengths(new) - _lengths(old)).abs().mean()
        direction = (1 - _cosine(old, new)).mean()
        yield FactorChange(
            layer, factor, member, cosine, float(magnitude), float(direction)
        )


def _lengths(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, " columns"]:
    return matrix.square().sum(0).sqrt()


def _cosine(
    one: Float[Tensor, "rows columns"], other: Float[Tensor, "rows columns"]
) -> Float[Tensor, " columns"]:
    """Return the cosine per column; 1 where both are zero, 0 where one is."""
    scale = _lengths(one) * _lengths(other)
    both = (_lengths(one) == 0) & (_lengths(other) == 0)
    dot = (one * other).sum(0)
    quiet = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.where(both, torch.ones_like(dot), dot / quiet).clamp(-1, 1)
