"""How alike the subspaces of factors are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from .._adapter import Adapter
from .._errors import ConfigError
from ..operators.convert._linalg import qr, row_norms, svd
from ._result import Result, Row


@dataclass(frozen=True)
class SimilarPair:
    """The likeness of two factors of one layer.

    Args:
        layer: Name of the layer.
        one: Name of a factor.
        other: Name of another.
        value: Mean squared cosine of the principal angles, in [0, 1]; NaN if one of
            the factors is zero.
        random: What two random subspaces of these ranks have on average.
    """

    layer: str
    one: str
    other: str
    value: float
    random: float


@dataclass(frozen=True)
class Similarity(Result):
    """Likeness of the subspaces of factors, per layer and pair.

    Args:
        factor: ``A`` (row spaces) or ``B`` (column spaces).
        names: Names of what was compared.
        pairs: One per layer and pair, each pair once.
    """

    factor: str
    names: tuple[str, ...]
    pairs: tuple[SimilarPair, ...]
    name: ClassVar[str] = "similarity"

    @property
    def random_level(self) -> float:
        """Return the mean random level: r / d for equal ranks and widths."""
        return fmean(pair.random for pair in self.pairs)

    def between(self, one: str, other: str) -> float:
        """Return the likeness of two factors, as the mean over the layers they share.

        Args:
            one: Name in ``names``.
            other: Name in ``names``.

        Returns:
            In [0, 1]; 1 for a factor with itself; NaN if no layer has both, or all
            are zero.
        """
        if one == other:
            return 1.0
        found = [
            pair.value
            for pair in self.pairs
            if {pair.one, pair.other} == {one, other} and not math.isnan(pair.value)
        ]
        return fmean(found) if found else math.nan

    def matrix(self) -> list[list[float]]:
        """Return :meth:`between` of all pairs, in the order of ``names``."""
        return [[self.between(i, j) for j in self.names] for i in self.names]

    def summary(self) -> dict[str, Any]:
        """Return the matrix over all layers, and the random level beside it."""
        return {
            "factor": self.factor,
            "names": self.names,
            "matrix": self.matrix(),
            "random_level": self.random_level,
        }

    def rows(self) -> list[Row]:
        """Return one row per layer and pair."""
        return [asdict(pair) for pair in self.pairs]

    def draw(self, axes: Any) -> None:
        """Draw the matrix."""
        from ._draw import draw_matrix

        draw_matrix(axes, self.names, self.matrix(), low=0.0, high=1.0)
        axes.set_title(
            f"subspaces of {self.factor}: mean squared cosine "
            f"(random: {self.random_level:.3f})"
        )


def similarity(adapters: Mapping[str, Adapter], *, factor: str = "A") -> Similarity:
    """Compare the row spaces of A, or the column spaces of B, of several adapters.

    sim = 1/k sum_i cos^2(theta_i) over the k principal angles of two subspaces, k the
    smaller rank. Random subspaces of ranks r_1, r_2 in d dimensions have max(r_1, r_2)
    / d on average, so a likeness means nothing without that number beside it.

    Args:
        adapters: Name -> adapter, or one with a bank of several factors. Members of a
            bank are named ``name[task]`` if there is one per task, else ``name[0]``.
        factor: ``A`` or ``B``.

    Returns:
        The likeness of every pair in every layer that both have.

    Raises:
        ConfigError: An unknown factor, fewer than two factors to compare, or widths of
            a layer that differ.

    Source: arXiv:2106.09685 (LoRA), section 7.2 and appendix G. Differs: the mean over
    all directions, for one rank.
    """
    if factor not in ("A", "B"):
        raise ConfigError(f"similarity: factor must be A or B, got {factor!r}.")
    names: dict[str, None] = {}
    pairs: list[SimilarPair] = []
    for layer in dict.fromkeys(name for a in adapters.values() for name in a.layers):
        bases = {
            name: subspace(matrix)
            for key, adapter in adapters.items()
            if layer in adapter.layers
            for name, matrix in _members(key, adapter, layer, factor)
        }
        names.update(dict.fromkeys(bases))
        pairs.extend(_compare(layer, bases))
    if not pairs:
        raise ConfigError(
            f"similarity: at least two factors {factor} of one layer are needed, got "
            f"{len(names)} in {len(adapters)} adapters. Pass more adapters."
        )
    return Similarity(factor, tuple(names), tuple(pairs))


def subspace(matrix: Float[Tensor, "d r"]) -> Float[Tensor, "d k"]:
    """Return an orthonormal basis of a column space, by QR.

    Args:
        matrix: Tall; of any rank, also zero.

    Returns:
        As many columns as the matrix has rank, in fp64.
    """
    wide = matrix.detach().double()
    lengths = row_norms(wide.T)
    # Columns of length 1 span the same space, and rounding moves each by half an eps.
    Q, R = qr(wide / lengths.where(lengths > 0, 1.0))
    # QR alone gives a full basis even where columns depend on each other.
    U, S, _ = svd(R)
    rounding = math.sqrt(matrix.shape[1]) * torch.finfo(matrix.dtype).eps
    computing = max(matrix.shape) * torch.finfo(torch.float64).eps
    return Q @ U[:, S > S[0] * max(rounding, computing)]


def subspace_similarity(
    one: Float[Tensor, "d k1"], other: Float[Tensor, "d k2"]
) -> float:
    """Return the mean squared cosine of the principal angles of two subspaces.

    Args:
        one: Orthonormal basis.
        other: Orthonormal basis.

    Returns:
        In [0, 1]; NaN if one of them has no direction.
    """
    smaller = min(one.shape[1], other.shape[1])
    if not smaller:
        return math.nan
    return float((one.T @ other).square().sum()) / smaller


def _members(
    key: str, adapter: Adapter, layer: str, factor: str
) -> Iterator[tuple[str, Tensor]]:
    """Yield name and matrix, with the subspace in its columns, of a bank."""
    factors = adapter.layers[layer]
    bank = factors.A.mT if factor == "A" else factors.B
    by_task = adapter.config.get(f"num_{factor}") == "tasks"
    # Factors that belong to all tasks come first in a bank.
    shared = len(bank) - len(adapter.tasks) if by_task else len(bank)
    for place, matrix in enumerate(bank):
        member = str(place) if place < shared else adapter.tasks[place - shared]
        yield (key if len(bank) == 1 else f"{key}[{member}]"), matrix


def _compare(layer: str, bases: Mapping[str, Tensor]) -> Iterator[SimilarPair]:
    names = list(bases)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            first, second = bases[one], bases[other]
            if len(first) != len(second):
                raise ConfigError(
                    f"similarity: layer {layer} must have one width, got {len(first)} "
                    f"in {one} and {len(second)} in {other}. Compare adapters of one "
                    "base model."
                )
            random = max(first.shape[1], second.shape[1]) / len(first)
            value = subspace_similarity(first, second)
            yield SimilarPair(layer, one, other, value, random)
