"""How far the average of factors is from the average of updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch

from .._adapter import Adapter, LowRank, as_dtype
from .._errors import ConfigError
from ..operators.convert._linalg import norm, qr
from ..operators.merge import MERGE
from ._result import Result, Row


@dataclass(frozen=True)
class LayerGap:
    """The gap of one layer.

    Args:
        layer: Name of the layer.
        mix: ||mix||, the size of the average update.
        before: ||fuse - mix|| of the factors as they are.
        after: ||align - mix||, after each adapter was brought near the first.
    """

    layer: str
    mix: float
    before: float
    after: float


@dataclass(frozen=True)
class FusionGap(Result):
    """The fusion gap of several adapters, Frobenius norms per layer.

    Args:
        layers: One gap per layer.
    """

    layers: tuple[LayerGap, ...]
    name: ClassVar[str] = "fusion-gap"

    def summary(self) -> dict[str, Any]:
        """Return the gaps relative to ||mix||, as means over the layers."""
        shown = [layer for layer in self.layers if layer.mix > 0]
        if not shown:
            return {"before": 0.0, "after": 0.0}
        return {
            "before": fmean(layer.before / layer.mix for layer in shown),
            "after": fmean(layer.after / layer.mix for layer in shown),
        }

    def rows(self) -> list[Row]:
        """Return one row per layer."""
        return [asdict(layer) for layer in self.layers]

    def draw(self, axes: Any) -> None:
        """Draw both gaps along the layers."""
        for label in ("before", "after"):
            heights = [getattr(layer, label) for layer in self.layers]
            axes.plot(range(len(heights)), heights, marker="o", label=f"{label} align")
        axes.plot([layer.mix for layer in self.layers], color="grey", label="||mix||")
        axes.set_xlabel("layer")
        axes.set_ylabel("||fuse - mix||")
        axes.set_title("fusion gap")
        axes.legend(fontsize="small")


def fusion_gap(
    adapters: Sequence[Adapter],
    *,
    weights: Sequence[float] | None = None,
    task: str | None = None,
    iterations: int = 200,
) -> FusionGap:
    """Measure ||fuse - mix|| per layer, before and after ``align``.

    For two adapters fuse - mix = -w (1 - w) (B_1 - B_2) (A_1 - A_2). Nothing is
    multiplied out: memory and time are those of the factors.

    Args:
        adapters: At least two with the same layers.
        weights: One per adapter; None gives 1 / n each.
        task: Whose update; None takes the default task of each.
        iterations: Upper limit of the steps of ``align``, per layer and adapter.

    Returns:
        The gaps, in the order of the first adapter's layers.

    Raises:
        ConfigError: Fewer than two adapters, or adapters that do not fit together.

    Source: arXiv:2506.05713 (CoTo), linear fusion; arXiv:2410.22911 (CopRA), LoRA*.
    """
    if len(adapters) < 2:
        raise ConfigError(
            f"fusion_gap: at least two adapters are needed, got {len(adapters)}."
        )
    shares = [1 / len(adapters)] * len(adapters) if weights is None else list(weights)
    gaps: list[LayerGap] = []
    for layer in adapters[0].layers:
        lacking = [n for n, other in enumerate(adapters) if layer not in other.layers]
        if lacking:
            raise ConfigError(
                f"fusion_gap: all adapters must have layer {layer}, but adapter "
                f"{lacking[0]} lacks it. Compare adapters of one recipe."
            )
        updates = [
            as_dtype(adapter.update(layer, task), torch.float64) for adapter in adapters
        ]
        gaps.append(_gap(layer, updates, shares, iterations))
    return FusionGap(tuple(gaps))


def _gap(
    layer: str, updates: Sequence[LowRank], weights: Sequence[float], iterations: int
) -> LayerGap:
    mix = MERGE["mix"](updates, weights)
    fuse = MERGE["fuse"](updates, weights)
    near = MERGE["align"](updates, weights, iterations=iterations)
    zero = LowRank(torch.zeros_like(mix.A), torch.zeros_like(mix.B))
    return LayerGap(
        layer, distance(mix, zero), distance(fuse, mix), distance(near, mix)
    )


def distance(one: LowRank, other: LowRank) -> float:
    """Return ||B_1 A_1 - B_2 A_2|| in the Frobenius norm, from the factors alone.

    Args:
        one: An update, best in fp64.
        other: Another of the same shape; its rank may differ.
    """
    _, R_B = qr(torch.cat([one.B, -other.B], dim=1))
    _, R_A = qr(torch.cat([one.A, other.A]).T)
    return norm(R_B @ R_A.T)
