"""The CoTo toy: with enough steps, CoTo beats LoRA alone, merged and pruned."""

from __future__ import annotations

from torch import Tensor

from .._finding import Check, Finding, Picture, Row
from ._arms import ARMS, ToySize, measure, train_arms
from ._data import Shift

MARGINS = {"single": 0.01, "merge": 0.01, "every_other": 0.03}
"""Least gain in accuracy of CoTo over LoRA, averaged over the problems."""


def toy(
    *,
    problems: int = 3,
    seeds: int = 3,
    steps: int = 4_000,
    learning_rate: float = 5e-3,
    pretrain_steps: int = 3_000,
) -> Finding:
    """Adapt a small residual MLP to a shifted teacher, with LoRA and with CoTo.

    Both arms share start, rows, steps and learning rate. LoRA r = 4, scale 2, on both
    linears of each of 8 blocks; a block is one group of CoTo.

    Args:
        problems: Pairs of teachers.
        seeds: Runs per problem and arm, at least 2.
        steps: Steps of the adapters.
        learning_rate: First learning rate of the adapters; cosine to 0.
        pretrain_steps: Steps of the network on the source teacher.

    Returns:
        Passed if CoTo - LoRA >= .01 with all adapters and merged over pairs of seeds,
        and >= .03 with every other block, averaged over the problems.

    Source: arXiv:2506.05713; the toy and its margins are of this project.
    """
    size = ToySize(problems, seeds, steps, learning_rate, pretrain_steps, Shift())
    scores = measure(train_arms(size))
    checks = [
        Check(f"gain of CoTo, {name}", gain(scores[name]), low=low)
        for name, low in MARGINS.items()
    ]
    return Finding(
        name="coto-toy",
        claim="With enough steps CoTo adapters are better alone, merged and pruned.",
        checks=tuple(checks),
        rows=tuple(tabulate(scores)),
        settings={
            "problems": problems,
            "seeds": seeds,
            "steps": steps,
            "learning_rate": learning_rate,
            "pretrain_steps": pretrain_steps,
        },
        picture=Picture(x="measure", y="accuracy", by="arm"),
    )


def gain(score: Tensor) -> float:
    """Return the accuracy of CoTo minus that of LoRA, averaged over the problems."""
    return float((score[:, 1] - score[:, 0]).mean())


def tabulate(scores: dict[str, Tensor]) -> list[Row]:
    """List the accuracies (problems, arms) as rows, with the spread of the problems."""
    return [
        {
            "arm": arm,
            "measure": name,
            "accuracy": float(score[:, column].mean()),
            "least": float(score[:, column].min()),
            "most": float(score[:, column].max()),
        }
        for name, score in scores.items()
        for column, arm in enumerate(ARMS)
    ]
