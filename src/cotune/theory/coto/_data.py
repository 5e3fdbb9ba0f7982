"""Inputs labelled by random tanh teachers: one to pre-train on, one to adapt to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._network import CLASSES, WIDTH


@dataclass(frozen=True)
class Shift:
    """How the target teacher is made of the source teacher T0 and a fresh one T1.

    Args:
        keep: Weight of T0.
        fresh: Weight of T1.
        both_layers: Mix the second layer too; else it is that of T0.
    """

    keep: float = 0.8
    fresh: float = 0.6
    both_layers: bool = False


@dataclass(frozen=True)
class Split:
    """Rows of P problems.

    Args:
        x: Inputs, shape (P, rows, 48), standard normal.
        y: Labels, shape (P, rows).
    """

    x: Float[Tensor, "P rows width"]
    y: Int[Tensor, "P rows"]

    def take(self, problem: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels of ``rows`` (R, batch) of problems (R,)."""
        return self.x[problem[:, None], rows], self.y[problem[:, None], rows]


@dataclass(frozen=True)
class Teacher:
    """Labels argmax V tanh(T x).

    Args:
        first: T, shape (48, 48), entries of standard deviation gain / sqrt(48).
        second: V, shape (10, 48).
    """

    first: Float[Tensor, "hidden width"]
    second: Float[Tensor, "classes hidden"]

    def label(self, x: Float[Tensor, "rows width"]) -> Int[Tensor, " rows"]:
        """Label the rows."""
        return (torch.tanh(x @ self.first.T) @ self.second.T).argmax(-1)


def draw_data(
    problems: int, shift: Shift, *, source_rows: int = 20_000, rows: int = 4_000
) -> tuple[Split, Split, Split]:
    """Draw the pre-training, training and test rows of every problem.

    Args:
        problems: P; problem p depends on p alone.
        shift: How far the target lies from the source.
        source_rows: Rows labelled by the source teacher.
        rows: Rows for training, and again for test, labelled by the target teacher.

    Returns:
        Source, training and test split.
    """
    parts: list[list[tuple[Tensor, Tensor]]] = [[], [], []]
    for problem in range(problems):
        generator = torch.Generator().manual_seed(100 + problem)
        source, target = _draw_teachers(shift, generator)
        plan = ((source, source_rows), (target, rows), (target, rows))
        for part, (teacher, count) in zip(parts, plan, strict=True):
            x = torch.randn(count, WIDTH, generator=generator)
            part.append((x, teacher.label(x)))
    source, train, test = (
        Split(*(torch.stack(tensors) for tensors in zip(*part, strict=True)))
        for part in parts
    )
    return source, train, test


def draw_batches(
    rows: int, size: int, steps: int, seeds: list[int]
) -> Int[Tensor, "R steps size"]:
    """Draw the row numbers of every step: shuffled passes over the data.

    Args:
        rows: Rows of the data.
        size: Rows of a batch.
        steps: Number of batches.
        seeds: One number per copy.

    Returns:
        Row numbers.
    """
    passes = math.ceil(size * steps / rows)
    drawn: list[Tensor] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        order = [torch.randperm(rows, generator=generator) for _ in range(passes)]
        drawn.append(torch.cat(order)[: size * steps].view(steps, size))
    return torch.stack(drawn)


def _draw_teachers(
    shift: Shift, generator: torch.Generator, *, gain: float = 2.0
) -> tuple[Teacher, Teacher]:
    # Gain 2 lets tanh bend: plain LoRA then scores about what the reference reports.
    (T0, V0), (T1, V1) = (
        (
            torch.randn(WIDTH, WIDTH, generator=generator) * gain / WIDTH**0.5,
            torch.randn(CLASSES, WIDTH, generator=generator) / WIDTH**0.5,
        )
        for _ in range(2)
    )
    second = shift.keep * V0 + shift.fresh * V1 if shift.both_layers else V0
    return Teacher(T0, V0), Teacher(shift.keep * T0 + shift.fresh * T1, second)
