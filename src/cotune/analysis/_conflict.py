"""Do the tasks pull a shared factor in opposite directions?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from .._errors import ConfigError
from ._result import Result, Row

Gradients = Mapping[str, Mapping[str, Tensor]]
"""Task -> layer (or parameter) name -> gradient of the shared factor."""

ALL = "all layers"


@dataclass(frozen=True)
class GradientPair:
    """The angle between the gradients of two tasks.

    Args:
        layer: Name of the layer, or ``all layers``.
        one: A task.
        other: Another.
        cosine: In [-1, 1]; below 0 a step for one undoes what the other wants. 0 if a
            gradient is zero.
    """

    layer: str
    one: str
    other: str
    cosine: float


@dataclass(frozen=True)
class Conflict(Result):
    """Norms and angles of the gradients of several tasks.

    Args:
        tasks: Names.
        norms: Gradient norm per task, over all layers.
        pairs: One per layer and pair of tasks, and one per pair over all layers.
    """

    tasks: tuple[str, ...]
    norms: tuple[float, ...]
    pairs: tuple[GradientPair, ...]
    name: ClassVar[str] = "conflict"

    @property
    def share_negative(self) -> float:
        """Return the share of task pairs with a negative cosine over all layers."""
        return _share_negative(self._of(ALL))

    def by_layer(self) -> dict[str, float]:
        """Return layer -> share of task pairs with a negative cosine in it."""
        names = dict.fromkeys(pair.layer for pair in self.pairs if pair.layer != ALL)
        return {name: _share_negative(self._of(name)) for name in names}

    def matrix(self) -> list[list[float]]:
        """Return the cosines over all layers, in the order of ``tasks``."""
        found = {(pair.one, pair.other): pair.cosine for pair in self._of(ALL)}
        return [
            [found.get((i, j), found.get((j, i), 1.0)) for j in self.tasks]
            for i in self.tasks
        ]

    def summary(self) -> dict[str, Any]:
        """Return norms, cosines over all layers, and shares of negative ones."""
        by_layer = self.by_layer()
        return {
            "norms": dict(zip(self.tasks, self.norms, strict=True)),
            "matrix": self.matrix(),
            "share_negative": self.share_negative,
            "share_negative_per_layer": fmean(by_layer.values()),
        }

    def rows(self) -> list[Row]:
        """Return one row per layer and pair."""
        return [asdict(pair) for pair in self.pairs]

    def draw(self, axes: Any) -> None:
        """Draw the cosines over all layers."""
        from ._draw import draw_matrix

        draw_matrix(axes, self.tasks, self.matrix(), low=-1.0, high=1.0)
        axes.set_title(
            f"gradients of the shared factor: {self.share_negative:.0%} of pairs oppose"
        )

    def _of(self, layer: str) -> list[GradientPair]:
        return [pair for pair in self.pairs if pair.layer == layer]


def conflict(gradients: Gradients) -> Conflict:
    """Compare the gradients that several tasks have on the same shared factor.

    Args:
        gradients: Task -> layer name -> gradient, of the same shapes for all tasks, at
            the same values of the parameters. The mean over many rows of a task: noise
            of small batches hides the angles.

    Returns:
        Norm per task, and the cosine of every pair.

    Raises:
        ConfigError: Fewer than two tasks, or layers or shapes that differ.

    Source: arXiv:2001.06782 (PCGrad), definition 1, and arXiv:2509.25414 (ALoRA).
    """
    check_gradients("conflict", gradients)
    tasks = tuple(gradients)
    first = gradients[tasks[0]]
    grams: list[Tensor] = []
    pairs: list[GradientPair] = []
    for layer in first:
        rows = torch.stack([gradients[t][layer].detach().flatten() for t in tasks])
        rows = rows.double()
        grams.append(rows @ rows.T)
        pairs += _pairs(layer, tasks, grams[-1])
    total = torch.stack(grams).sum(0)
    norms = tuple(float(number) for number in total.diagonal().sqrt())
    return Conflict(tasks, norms, (*_pairs(ALL, tasks, total), *pairs))


def check_gradients(where: str, gradients: Gradients) -> None:
    """Refuse gradients that cannot be compared.

    Args:
        where: Who asks, for the message.
        gradients: Task -> layer name -> gradient.

    Raises:
        ConfigError: As :func:`conflict`.
    """
    if len(gradients) < 2:
        raise ConfigError(f"{where}: two tasks are needed, got {list(gradients)}.")
    shapes = {
        task: {layer: tuple(g.shape) for layer, g in own.items()}
        for task, own in gradients.items()
    }
    first = next(iter(shapes.values()))
    for task, own in shapes.items():
        if own != first or not own:
            raise ConfigError(
                f"{where}: all tasks must have gradients of the same layers and "
                f"shapes, got others for {task}. Compare one shared factor."
            )


def cosines_of(gram: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Turn inner products into cosines; 0 where a length is 0, 1 on the diagonal.

    Args:
        gram: Inner products in fp64.
    """
    lengths = gram.diagonal().clamp_min(0).sqrt()
    scale = lengths[:, None] * lengths
    cosines = torch.where(scale > 0, gram / scale.clamp_min(1e-300), 0.0)
    cosines = cosines.clamp(-1, 1)
    return cosines.fill_diagonal_(1.0)


def _pairs(layer: str, tasks: Sequence[str], gram: Tensor) -> list[GradientPair]:
    cosines = cosines_of(gram)
    return [
        GradientPair(layer, tasks[i], tasks[j], float(cosines[i, j]))
        for i, j in combinations(range(len(tasks)), 2)
    ]


def _share_negative(pairs: Sequence[GradientPair]) -> float:
    return fmean(float(pair.cosine < 0) for pair in pairs)
