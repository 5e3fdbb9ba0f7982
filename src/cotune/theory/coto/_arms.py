"""Train the two arms of the toy once, and measure them in several ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ._data import Shift, Split, draw_data
from ._network import BLOCKS, Adapters, Network, forward
from ._train import pair_copies, pretrain, train_adapters

ARMS = ("lora", "coto")


@dataclass(frozen=True)
class ToySize:
    """Everything that decides a run of the toy.

    Args:
        problems: Pairs of teachers.
        seeds: Runs per problem and arm.
        steps: Steps of the adapters.
        learning_rate: First learning rate of the adapters.
        pretrain_steps: Steps of the networks.
        shift: How far the target lies from the source.
    """

    problems: int
    seeds: int
    steps: int
    learning_rate: float
    pretrain_steps: int
    shift: Shift


@dataclass(frozen=True)
class Trained:
    """Trained adapters of both arms; copies in the order (problem, arm, seed).

    Args:
        size: What was run.
        network: The frozen networks, one per copy.
        adapters: One set per copy.
        test: Test rows, one set per copy.
    """

    size: ToySize
    network: Network
    adapters: Adapters
    test: Split

    def by_arm(
        self, scores: Shaped[Tensor, "copies ..."]
    ) -> Shaped[Tensor, "problems arms pairs ..."]:
        """Sort scores of the copies by problem, arm and seed (or pair of seeds)."""
        shape = (self.size.problems, len(ARMS), -1, *scores.shape[1:])
        return scores.reshape(shape)


@lru_cache(maxsize=4)
def train_arms(size: ToySize) -> Trained:
    """Pre-train, then train LoRA and CoTo on the same rows from the same starts.

    Args:
        size: What to run. The last four runs are kept, as several experiments read
            the same one.

    Returns:
        The trained arms.
    """
    source, train, test = draw_data(size.problems, size.shift)
    copies = pair_copies(size.problems, size.seeds)
    problem = torch.tensor(copies.problem)
    networks = pretrain(source, steps=size.pretrain_steps)
    network = networks.map(lambda tensor: tensor[problem])
    adapters = train_adapters(
        network, train, copies, steps=size.steps, learning_rate=size.learning_rate
    )
    return Trained(size, network, adapters, Split(test.x[problem], test.y[problem]))


def measure(trained: Trained) -> dict[str, Float[Tensor, "problems arms"]]:
    """Measure test accuracy with all adapters, merged over seeds, and pruned.

    Args:
        trained: Both arms, with at least two seeds.

    Returns:
        ``base``: without adapters. ``single``: all adapters on. ``merge``: factors
        averaged over every pair of seeds. ``every_other``: only blocks 0, 2, 4, 6.
        Each is a mean over seeds or pairs.
    """
    adapters, network, test = trained.adapters, trained.network, trained.test
    every_other = (torch.arange(BLOCKS) % 2 == 0).float().expand(len(test.x), -1)
    scores = {
        "base": accuracy(network, test, None),
        "single": accuracy(network, test, adapters),
        "merge": accuracy(*_pairs(trained)),
        "every_other": accuracy(network, test, adapters, every_other),
    }
    return {name: trained.by_arm(score).mean(2) for name, score in scores.items()}


@torch.no_grad()
def accuracy(
    network: Network,
    test: Split,
    adapters: Adapters | None,
    mask: Float[Tensor, "R blocks"] | None = None,
) -> Float[Tensor, " R"]:
    """Return the fraction of test rows that each copy labels correctly."""
    logits = forward(network, test.x, adapters, mask)
    return (logits.argmax(-1) == test.y).float().mean(-1)


def _pairs(trained: Trained) -> tuple[Network, Split, Adapters]:
    """Average the factors of every pair of seeds; network and rows to match."""
    pairs = torch.tensor(list(combinations(range(trained.size.seeds), 2)))

    def average(tensor: Tensor) -> Tensor:
        return trained.by_arm(tensor)[:, :, pairs].mean(3).flatten(0, 2)

    def first(tensor: Tensor) -> Tensor:
        return trained.by_arm(tensor)[:, :, pairs[:, 0]].flatten(0, 2)

    test = Split(first(trained.test.x), first(trained.test.y))
    return trained.network.map(first), test, trained.adapters.map(average)
