"""Pre-train the networks, then train LoRA and CoTo adapters side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .._descent import descend
from ._data import Split, draw_batches
from ._network import BLOCKS, Adapters, Network, draw_adapters, draw_network, forward


@dataclass(frozen=True)
class Copies:
    """Which problem, arm and seed each of the R copies belongs to.

    Args:
        problem: Number of the problem, one per copy.
        masked: Whether the copy is trained with CoTo; else plain LoRA.
        seed: A number that is equal for the two arms of a pair, and unlike any other.
    """

    problem: tuple[int, ...]
    masked: tuple[bool, ...]
    seed: tuple[int, ...]


def pair_copies(problems: int, seeds: int) -> Copies:
    """List the copies in the order (problem, arm, seed), LoRA before CoTo.

    Args:
        problems: Number of problems.
        seeds: Runs per problem and arm: start, order of the data and masks.

    Returns:
        2 x problems x seeds copies.
    """
    order = [
        (p, masked, 100 * p + s)
        for p in range(problems)
        for masked in (False, True)
        for s in range(seeds)
    ]
    problem, masked, seed = zip(*order, strict=True)
    return Copies(problem, masked, seed)


def pretrain(source: Split, *, steps: int) -> Network:
    """Train one network per problem on the source teacher: AdamW, 1e-3, batch 128.

    Args:
        source: Rows of every problem.
        steps: Optimizer steps.

    Returns:
        The trained networks, one per problem, detached.
    """
    problems = len(source.x)
    seeds = [2_000 + p for p in range(problems)]
    batches = draw_batches(source.x.shape[1], 128, steps, seeds)
    number = torch.arange(problems)

    def loss(step: int, weights: Sequence[Tensor]) -> Tensor:
        x, y = source.take(number, batches[:, step])
        return loss_sum(forward(Network(*weights), x), y)

    start = draw_network([1_000 + p for p in range(problems)]).tensors()
    # 0.01 is the decay that AdamW has by default, in torch and in most recipes.
    return Network(*descend(start, loss, steps=steps, learning_rate=1e-3, decay=0.01))


def train_adapters(
    network: Network,
    train: Split,
    copies: Copies,
    *,
    steps: int,
    learning_rate: float,
    decay: float = 0.01,
) -> Adapters:
    """Train the adapters of all copies at once: AdamW, cosine, batch 64.

    Args:
        network: Frozen networks, one per copy.
        train: Rows of every problem.
        copies: Who is who; the two arms of a pair see the same rows and start.
        steps: Optimizer steps.
        learning_rate: First learning rate; it falls to 0 on a cosine.
        decay: Weight decay of AdamW.

    Returns:
        The trained adapters, detached.
    """
    adapters = draw_adapters([3_000 + s for s in copies.seed])
    adapters = adapters.map(lambda tensor: tensor.requires_grad_())
    adam = MaskedAdamW(adapters, decay=decay)
    masks = draw_masks(copies, steps)
    seeds = [500_000 + s for s in copies.seed]
    batches = draw_batches(train.x.shape[1], 64, steps, seeds)
    problem = torch.tensor(copies.problem)
    for step in range(steps):
        x, y = train.take(problem, batches[:, step])
        loss = loss_sum(forward(network, x, adapters, masks[:, step]), y)
        rate = 0.5 * learning_rate * (1 + math.cos(math.pi * step / steps))
        adam.step(torch.autograd.grad(loss, adapters.tensors()), masks[:, step], rate)
    return adapters.map(torch.Tensor.detach)


def draw_masks(copies: Copies, steps: int) -> Float[Tensor, "R steps blocks"]:
    """Draw which blocks are on at every step; all of them for a plain copy.

    Args:
        copies: Who is who.
        steps: Optimizer steps T.

    Returns:
        1 where a block is on. A CoTo copy is on with probability
        p(t) = min(1, t / ceil(.75 T)), and never all off: then one block is chosen.

    Source: arXiv:2506.05713, with p0 = 0. The forced block is ours.
    """
    chance = (torch.arange(steps) / math.ceil(0.75 * steps)).clamp(max=1)
    drawn: list[Tensor] = []
    for masked, seed in zip(copies.masked, copies.seed, strict=True):
        generator = torch.Generator().manual_seed(700_000 + seed)
        on = torch.rand(steps, BLOCKS, generator=generator) < chance[:, None]
        forced = torch.randint(BLOCKS, (steps,), generator=generator)
        on |= ~on.any(1, keepdim=True) & F.one_hot(forced, BLOCKS).bool()
        drawn.append(on if masked else torch.ones_like(on))
    return torch.stack(drawn).float()


def loss_sum(
    logits: Float[Tensor, "R batch classes"], labels: Tensor
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of every copy, summed over the copies."""
    mean = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    return mean * len(logits)


class MaskedAdamW:
    """AdamW that leaves a block that is off bit-unchanged: weights, moments, count.

    Args:
        adapters: Factors to train, leaves of autograd; changed in place.
        decay: Decoupled weight decay.
    """

    def __init__(self, adapters: Adapters, *, decay: float) -> None:
        self.factors = adapters.tensors()
        self.decay = decay
        self.mean = [torch.zeros_like(factor) for factor in self.factors]
        self.square = [torch.zeros_like(factor) for factor in self.factors]
        self.count = torch.zeros(*self.factors[0].shape[:2], 1, 1)

    @torch.no_grad()
    def step(
        self,
        gradients: tuple[Tensor, ...],
        mask: Float[Tensor, "R blocks"],
        rate: float,
    ) -> None:
        """Make one step on the blocks that are on.

        Args:
            gradients: One per factor.
            mask: 1 where a block is on, 0 where it is off.
            rate: Learning rate.
        """
        on = mask[..., None, None]
        self.count += on
        # A block that was never on has moments of 0: any positive count will do.
        count = self.count.clamp(min=1)
        first, second = 1 - 0.9**count, 1 - 0.999**count
        groups = zip(self.factors, gradients, self.mean, self.square, strict=True)
        for factor, gradient, mean, square in groups:
            mean += 0.1 * on * (gradient - mean)
            square += 0.001 * on * (gradient.square() - square)
            factor *= 1 - rate * self.decay * on
            factor -= rate * on * (mean / first) / ((square / second).sqrt() + 1e-8)
