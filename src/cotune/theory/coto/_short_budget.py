"""Where CoTo loses: too few steps on a hard target leave its adapters under-trained."""

from __future__ import annotations

from .._finding import Check, Finding, Picture
from ._arms import ToySize, measure, train_arms
from ._data import Shift
from ._toy import gain, tabulate


def short_budget(
    *,
    problems: int = 3,
    seeds: int = 3,
    steps: int = 1_500,
    learning_rate: float = 1e-3,
    pretrain_steps: int = 3_000,
) -> Finding:
    """Repeat the toy with a small budget on a target far from the source.

    The target mixes both layers of the teachers as .5 T0 + .87 T1.

    Args:
        problems: Pairs of teachers.
        seeds: Runs per problem and arm, at least 2.
        steps: Steps of the adapters.
        learning_rate: First learning rate of the adapters; cosine to 0.
        pretrain_steps: Steps of the network on the source teacher.

    Returns:
        Passed if CoTo is *below* LoRA with all adapters on: the known limit of the
        method, kept so that nobody forgets it.

    Source: arXiv:2506.05713 does not report it; measured by this project.
    """
    shift = Shift(keep=0.5, fresh=0.87, both_layers=True)
    size = ToySize(problems, seeds, steps, learning_rate, pretrain_steps, shift)
    scores = measure(train_arms(size))
    return Finding(
        name="coto-short-budget",
        claim="With a small budget on a hard target CoTo is worse than LoRA.",
        checks=(
            Check("gain of CoTo, single", gain(scores["single"]), high=0, strict=True),
        ),
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
