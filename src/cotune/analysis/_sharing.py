"""The factor that the data favour: should tasks share A or B?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .._adapter import Adapter, LowRank
from .._errors import ConfigError
from ..operators.convert._linalg import qr
from ._common_space import Spans, add_losses, lose_all
from ._conflict import Gradients, check_gradients
from ._layers import list_layers
from ._result import Result, Row

Choice = Literal["A", "B", "either", "neither"]

LEAST_LEAD = 0.05
"""Two shares of an update that are nearer than this are called equal."""


@dataclass(frozen=True)
class LayerSharing:
    """What shared factors of one layer must miss.

    Args:
        layer: Name of the layer.
        missed_A: Root mean square over the tasks of the share of an update, in [0, 1],
            that one A of the given rank must miss, every task with its own B.
        missed_B: The same for one B, every task with its own A.
        random_A: What A would miss if the row spaces had nothing to do with each other.
        random_B: What B would miss if the column spaces had not.
    """

    layer: str
    missed_A: float
    missed_B: float
    random_A: float
    random_B: float


@dataclass(frozen=True)
class Sharing(Result):
    """Which factor fits all tasks better, with the numbers that say so.

    Args:
        tasks: Names.
        rank: Rank of the shared factor.
        missed_A: As in :class:`LayerSharing`, over all layers, all tasks alike.
        missed_B: The same for B.
        random_A: The same for row spaces that have nothing to do with each other.
        random_B: The same for column spaces.
        layers: One per layer.
        source: What the spaces are those of, in words.
    """

    tasks: tuple[str, ...]
    rank: int
    missed_A: float
    missed_B: float
    random_A: float
    random_B: float
    layers: tuple[LayerSharing, ...]
    source: str
    name: ClassVar[str] = "sharing"

    @property
    def choice(self) -> Choice:
        """Return the factor to share.

        ``neither`` if both factors miss as much as they would of unrelated spaces,
        ``either`` if both miss the same; ``LEAST_LEAD`` counts as a difference.
        """
        return choose(self.missed_A, self.missed_B, self.random_A, self.random_B)

    @property
    def agreeing(self) -> float:
        """Return the share of layers, in [0, 1], that choose the same by themselves."""
        alone = [
            choose(one.missed_A, one.missed_B, one.random_A, one.random_B)
            for one in self.layers
        ]
        return alone.count(self.choice) / len(alone)

    def advice(self) -> str:
        """Say in a sentence which factor to share, with the numbers."""
        numbers = (
            f"at rank {self.rank} a shared A misses at least {self.missed_A:.0%} of an "
            f"update (unrelated row spaces: {self.random_A:.0%}), a shared B "
            f"{self.missed_B:.0%} (unrelated column spaces: {self.random_B:.0%})."
        )
        return f"{_ADVICE[self.choice]}: {numbers}"

    def summary(self) -> dict[str, Any]:
        """Return the choice and what it rests on."""
        return {
            "source": self.source,
            "tasks": self.tasks,
            "rank": self.rank,
            "choice": self.choice,
            "missed_A": self.missed_A,
            "missed_B": self.missed_B,
            "random_A": self.random_A,
            "random_B": self.random_B,
            "agreeing": self.agreeing,
            "advice": self.advice(),
        }

    def rows(self) -> list[Row]:
        """Return one row per layer."""
        return [asdict(layer) for layer in self.layers]

    def draw(self, axes: Any) -> None:
        """Draw what A and B miss in every layer, with the random levels."""
        places = range(len(self.layers))
        for factor, colour in (("A", "tab:blue"), ("B", "tab:orange")):
            missed = [getattr(layer, f"missed_{factor}") for layer in self.layers]
            random = [getattr(layer, f"random_{factor}") for layer in self.layers]
            axes.plot(places, missed, "o-", color=colour, label=f"shared {factor}")
            label = f"unrelated spaces, {factor}"
            axes.plot(places, random, ":", color=colour, label=label)
        names = [layer.layer for layer in self.layers]
        if len(names) <= 24:
            axes.set_xticks(places, names, rotation=60, ha="right", fontsize="small")
        axes.set_ylim(0, 1)
        axes.set_ylabel("share of an update that is missed")
        axes.set_title(f"which factor to share: {self.choice}")
        axes.legend(fontsize="small")


_ADVICE: Mapping[Choice, str] = {
    "A": "Share A, keep B private",
    "B": "Share B, keep A private",
    "either": "Share either factor, or both with a core per task",
    "neither": "Share nothing for this reason",
}


def choose(
    missed_A: float, missed_B: float, random_A: float, random_B: float
) -> Choice:
    """Decide which factor to share.

    Args:
        missed_A: Share of an update, in [0, 1], that a shared A must miss.
        missed_B: The same for B.
        random_A: What A would miss for unrelated row spaces.
        random_B: What B would miss for unrelated column spaces.
    """
    related = max(random_A - missed_A, random_B - missed_B) >= LEAST_LEAD
    if not related and min(missed_A, missed_B) >= LEAST_LEAD:
        return "neither"
    if abs(missed_A - missed_B) < LEAST_LEAD:
        return "either"
    return "A" if missed_A < missed_B else "B"


def sharing(
    adapters: Mapping[str, Adapter],
    *,
    rank: int | None = None,
    generator: torch.Generator | None = None,
) -> Sharing:
    """Decide from trained updates which factor tasks should share.

    A shared B of rank r confines all updates to one column space, a shared A to one row
    space. The best space of either kind is known in closed form, and so is what it
    misses: B fits better where the column spaces are alike, A where the row spaces are.

    Row spaces of updates from short runs are those of the random start of A, so tasks
    trained from one seed seem to favour A, whatever the data say, and those from
    different seeds B. Take runs that are long enough for A to turn, or
    :func:`sharing_from_gradients`.

    Args:
        adapters: Task (or client) -> its adapter, with the same layers.
        rank: Rank of the shared factor; None takes the largest rank given.
        generator: Draws the unrelated spaces; None: seed 0.

    Returns:
        What either factor misses, and the choice.

    Raises:
        ConfigError: Fewer than two tasks, layers that differ, an update that is zero,
            or a rank below 1.

    Source: ours. Which factor to share depends on the data (F9, ``cotune lab
    federated``); arXiv:2509.25414 shares B, arXiv:2410.01463 (FedSA-LoRA) shares A.
    """
    names = list_layers("sharing", adapters)
    updates = {name: [a.update(name) for a in adapters.values()] for name in names}
    widest = max(update.rank for several in updates.values() for update in several)
    return _decide(
        tuple(adapters),
        {name: [_row_span(one) for one in own] for name, own in updates.items()},
        {name: [_column_span(one) for one in own] for name, own in updates.items()},
        widest if rank is None else rank,
        generator,
        "updates",
    )


def sharing_from_gradients(
    on_A: Gradients,
    on_B: Gradients,
    *,
    rank: int | None = None,
    generator: torch.Generator | None = None,
) -> Sharing:
    """Decide from gradients at the base model, without training.

    With G the gradient on a base weight, a factor B at zero has the gradient G A^T: a
    sketch of the column space of G. A factor A at zero has B^T G: a sketch of its row
    space. Neither carries the start of the other side.

    Args:
        on_A: Task -> layer -> gradient on A, shape (k, d_in), at A = 0 and one random B
            for all tasks; the mean over many rows.
        on_B: Task -> layer -> gradient on B, shape (d_out, k), at B = 0 and one random
            A. The same tasks and layers.
        rank: Rank of the shared factor; None takes the smallest k.
        generator: As in :func:`sharing`.

    Returns:
        What either factor misses, and the choice.

    Raises:
        ConfigError: As :func:`sharing`, or tasks or layers of the two sides differ.

    Source: ours; sketches as in Halko et al. 2011, algorithm 4.1.
    """
    for gradients in (on_A, on_B):
        check_gradients("sharing_from_gradients", gradients)
    tasks, names = tuple(on_A), list(next(iter(on_A.values())))
    if set(on_B) != set(tasks) or set(on_B[tasks[0]]) != set(names):
        raise ConfigError(
            "sharing_from_gradients: on_A and on_B must have the same tasks and "
            f"layers, got {list(on_A)} and {list(on_B)}. Take both from one model."
        )
    rows = {name: [_span(on_A[task][name].mT) for task in tasks] for name in names}
    columns = {name: [_span(on_B[task][name]) for task in tasks] for name in names}
    if rank is None:
        rank = min(own.shape[1] for own in (*rows[names[0]], *columns[names[0]]))
    return _decide(tasks, rows, columns, rank, generator, "gradients")


def _span(gradient: Tensor) -> Tensor:
    return gradient.detach().double()


def _column_span(update: LowRank) -> Float[Tensor, "d_out r"]:
    """Return a matrix with the left singular vectors and the values of B A."""
    return update.B.detach().double() @ qr(update.A.detach().double().T)[1].T


def _row_span(update: LowRank) -> Float[Tensor, "d_in r"]:
    return update.A.detach().double().T @ qr(update.B.detach().double())[1].T


def _decide(
    tasks: tuple[str, ...],
    rows: Spans,
    columns: Spans,
    rank: int,
    generator: torch.Generator | None,
    source: str,
) -> Sharing:
    if rank < 1:
        raise ConfigError(f"sharing: rank must be at least 1, got {rank}.")
    dice = torch.Generator().manual_seed(0) if generator is None else generator
    A, B = (lose_all(tasks, spans, rank, dice) for spans in (rows, columns))
    layers = tuple(
        LayerSharing(
            name, A[name].missed, B[name].missed, A[name].random, B[name].random
        )
        for name in rows
    )
    over_A, over_B = add_losses(A.values()), add_losses(B.values())
    return Sharing(
        tasks,
        rank,
        over_A.missed,
        over_B.missed,
        over_A.random,
        over_B.random,
        layers,
        source,
    )
