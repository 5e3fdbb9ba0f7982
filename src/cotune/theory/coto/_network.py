"""A residual MLP as stacked tensors: many copies at once, each with its adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

WIDTH, HIDDEN, BLOCKS, CLASSES = 48, 96, 8, 10


@dataclass(frozen=True)
class Network:
    """Weights of R networks: input map, 8 blocks h + W2 gelu(W1 LN(h)), output map.

    Args:
        first: (R, 48, 48).
        first_bias: (R, 48).
        up: W1 of every block, (R, 8, 96, 48).
        up_bias: (R, 8, 96).
        down: W2 of every block, (R, 8, 48, 96).
        down_bias: (R, 8, 48).
        last: (R, 10, 48).
        last_bias: (R, 10).
    """

    first: Float[Tensor, "R width width"]
    first_bias: Float[Tensor, "R width"]
    up: Float[Tensor, "R blocks hidden width"]
    up_bias: Float[Tensor, "R blocks hidden"]
    down: Float[Tensor, "R blocks width hidden"]
    down_bias: Float[Tensor, "R blocks width"]
    last: Float[Tensor, "R classes width"]
    last_bias: Float[Tensor, "R classes"]

    def tensors(self) -> list[Tensor]:
        """Return all weights, in the order of the class."""
        return [getattr(self, field.name) for field in fields(self)]

    def map(self, function: Callable[[Tensor], Tensor]) -> Network:
        """Apply a function to every weight and return the new network."""
        return Network(*(function(tensor) for tensor in self.tensors()))


@dataclass(frozen=True)
class Adapters:
    """LoRA factors of R networks, on both linears of every block.

    Args:
        up_A: (R, 8, r, 48).
        up_B: (R, 8, 96, r).
        down_A: (R, 8, r, 96).
        down_B: (R, 8, 48, r).
        scale: alpha / r.
    """

    up_A: Float[Tensor, "R blocks r width"]
    up_B: Float[Tensor, "R blocks hidden r"]
    down_A: Float[Tensor, "R blocks r hidden"]
    down_B: Float[Tensor, "R blocks width r"]
    scale: float = 2.0

    def tensors(self) -> list[Tensor]:
        """Return the four factors, in the order of the class."""
        return [self.up_A, self.up_B, self.down_A, self.down_B]

    def map(self, function: Callable[[Tensor], Tensor]) -> Adapters:
        """Apply a function to every factor and return the new adapters."""
        return Adapters(*(function(t) for t in self.tensors()), scale=self.scale)

    def updates(
        self, mask: Float[Tensor, "R blocks"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the updates of up and down, those of blocks that are off being 0."""
        up = self.scale * (self.up_B @ self.up_A)
        down = self.scale * (self.down_B @ self.down_A)
        if mask is None:
            return up, down
        return mask[..., None, None] * up, mask[..., None, None] * down


def draw_network(seeds: list[int]) -> Network:
    """Draw one network per seed, every weight uniform in +-1 / sqrt(fan in).

    Args:
        seeds: One number per network.

    Returns:
        The stacked networks, float32.
    """
    drawn = [_draw_one(torch.Generator().manual_seed(seed)) for seed in seeds]
    return Network(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


def draw_adapters(seeds: list[int], *, rank: int = 4) -> Adapters:
    """Draw one set of adapters per seed: A uniform in +-1 / sqrt(d_in), B = 0.

    Args:
        seeds: One number per copy; equal numbers give equal factors.
        rank: r.

    Returns:
        The stacked adapters, float32.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    up = [_uniform((BLOCKS, rank, WIDTH), WIDTH, g) for g in generators]
    down = [_uniform((BLOCKS, rank, HIDDEN), HIDDEN, g) for g in generators]
    return Adapters(
        up_A=torch.stack(up),
        up_B=torch.zeros(len(seeds), BLOCKS, HIDDEN, rank),
        down_A=torch.stack(down),
        down_B=torch.zeros(len(seeds), BLOCKS, WIDTH, rank),
    )


def forward(
    network: Network,
    x: Float[Tensor, "R batch width"],
    adapters: Adapters | None = None,
    mask: Float[Tensor, "R blocks"] | None = None,
) -> Float[Tensor, "R batch classes"]:
    """Compute the logits.

    Args:
        network: The frozen or trained weights.
        x: One batch per copy.
        adapters: Added to both linears of every block.
        mask: 1 where the adapters of a block are on, 0 where they are off; None is all
            on.

    Returns:
        The logits.
    """
    up, down = network.up, network.down
    if adapters is not None:
        more_up, more_down = adapters.updates(mask)
        up, down = up + more_up, down + more_down
    h = first_layer(network, x)
    for block in range(BLOCKS):
        h = h + residual(network, block, h, up[:, block], down[:, block])
    return last_layer(network, h)


def first_layer(network: Network, x: Tensor) -> Tensor:
    """Map inputs (R, batch, 48) to the first hidden state."""
    return torch.baddbmm(network.first_bias[:, None], x, network.first.mT)


def residual(
    network: Network, block: int, h: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """Return W2 gelu(W1 LN(h)) of one block, with the given W1 and W2."""
    z = F.layer_norm(h, (WIDTH,))
    u = F.gelu(torch.baddbmm(network.up_bias[:, block, None], z, up.mT))
    return torch.baddbmm(network.down_bias[:, block, None], u, down.mT)


def last_layer(network: Network, h: Tensor) -> Tensor:
    """Map the last hidden state to logits."""
    return torch.baddbmm(network.last_bias[:, None], h, network.last.mT)


def _draw_one(generator: torch.Generator) -> tuple[Tensor, ...]:
    return (
        _uniform((WIDTH, WIDTH), WIDTH, generator),
        _uniform((WIDTH,), WIDTH, generator),
        _uniform((BLOCKS, HIDDEN, WIDTH), WIDTH, generator),
        _uniform((BLOCKS, HIDDEN), WIDTH, generator),
        _uniform((BLOCKS, WIDTH, HIDDEN), HIDDEN, generator),
        _uniform((BLOCKS, WIDTH), HIDDEN, generator),
        _uniform((CLASSES, WIDTH), WIDTH, generator),
        _uniform((CLASSES,), WIDTH, generator),
    )


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) / fan_in**0.5
