"""Clients with linear data that share a column space or a row space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..._errors import ConfigError, unknown_name
from .._algebra import frobenius, orthonormal_columns

SHARED = ("column", "row")


@dataclass(frozen=True)
class Clients:
    """Training data and truth of K clients, float64.

    Args:
        X: Inputs, shape (seeds, K, d, n), standard normal.
        Y: Responses W_k X + noise, shape (seeds, K, d, n).
        W: Truth, shape (seeds, K, d, d), of Frobenius norm sqrt(d), so that a response
            has variance 1.
    """

    X: Float[Tensor, "seeds K d n"]
    Y: Float[Tensor, "seeds K d n"]
    W: Float[Tensor, "seeds K d d"]

    def loss(self, update: Float[Tensor, "seeds K d d"]) -> Float[Tensor, ""]:
        """Return the mean squared residual of every client, summed over all."""
        return (update @ self.X - self.Y).square().mean(dim=(2, 3)).sum()

    def test_error(
        self, update: Float[Tensor, "seeds K d d"]
    ) -> Float[Tensor, "seeds K"]:
        """Return E ||(update - W) x||^2 / E ||W x||^2 for fresh x, without noise.

        In closed form: for standard normal x it is a ratio of squared Frobenius norms.
        """
        return (update - self.W).square().sum((2, 3)) / self.W.square().sum((2, 3))


def draw_clients(
    shared: str,
    *,
    seeds: int = 3,
    clients: int = 8,
    size: int = 32,
    rank: int = 4,
    samples: int = 64,
    noise: float = 0.3,
) -> Clients:
    """Draw W_k = U C_k (a shared column space) or W_k = C_k V (a shared row space).

    Args:
        shared: ``column`` or ``row``.
        seeds: Number of draws; draw s depends on s and ``shared`` alone.
        clients: K.
        size: d, of inputs and responses.
        rank: True rank of every W_k.
        samples: n, training points per client.
        noise: Standard deviation of the noise on every response.

    Returns:
        The clients.

    Raises:
        ConfigError: ``shared`` is neither.
    """
    if shared not in SHARED:
        raise ConfigError(unknown_name("shared space", shared, SHARED))
    drawn: list[tuple[Tensor, Tensor, Tensor]] = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        basis = orthonormal_columns(_normal(generator, size, rank))
        common = basis @ _normal(generator, clients, rank, size)
        common = common if shared == "column" else common.mT
        W = common * size**0.5 / frobenius(common)
        X = _normal(generator, clients, size, samples)
        Y = W @ X + noise * _normal(generator, clients, size, samples)
        drawn.append((X, Y, W))
    return Clients(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


def draw_kaiming(
    shape: tuple[int, ...], fan_in: int, generator: torch.Generator
) -> Tensor:
    """Draw uniformly in +-1 / sqrt(fan in): Kaiming with slope sqrt(5), as in PEFT."""
    drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (2 * drawn - 1) / fan_in**0.5


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)
