"""Linear clients that share a column space, a row space, or some of both."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cotune.analysis import Sharing, sharing_from_gradients
from cotune.theory.federated._clients import Clients, draw_clients
from cotune.theory.federated._sides import train_federated

SKETCH = 8
"""Width of a sketch: the rank of the clients."""


@dataclass(frozen=True)
class ToySeed:
    """One draw of eight clients.

    Args:
        row: How much of the truth shares its row space, in [0, 1], by squares.
        found: What the gradients at zero say.
        share_A: Mean relative test error after the last average, with A shared.
        share_B: The same with B shared.
        local: The same with nothing shared.
    """

    row: float
    found: Sharing
    share_A: float
    share_B: float
    local: float


def run_toy(row: float, *, seeds: int, rounds: int, local_steps: int) -> list[ToySeed]:
    """Draw clients, ask their gradients, and train with A, B or nothing shared.

    Args:
        row: As in :class:`ToySeed`.
        seeds: Draws.
        rounds: Rounds of training and averaging.
        local_steps: Adam steps per round.
    """
    clients = mix_clients(row, seeds)
    errors = {
        shared: train_federated(
            clients,
            shared,
            rounds=rounds,
            local_steps=local_steps,
            learning_rate=5e-3,
            rank=8,
            scale=2.0,
        )[1].mean(dim=1)
        for shared in ("A", "B", "")
    }
    return [
        ToySeed(
            row,
            ask(clients, seed),
            *(float(errors[shared][seed]) for shared in ("A", "B", "")),
        )
        for seed in range(seeds)
    ]


def mix_clients(row: float, seeds: int) -> Clients:
    """Add clients with shared columns and clients with shared rows, by squares.

    Args:
        row: As in :class:`ToySeed`; 0 and 1 are the clients of F9.
        seeds: Draws.
    """
    column, rows = (draw_clients(space, seeds=seeds) for space in ("column", "row"))
    if row in (0, 1):
        return rows if row else column
    W = (1 - row) ** 0.5 * column.W + row**0.5 * rows.W
    noise = column.Y - column.W @ column.X
    return Clients(column.X, W @ column.X + noise, W)


def ask(clients: Clients, seed: int) -> Sharing:
    """Choose the factor from the gradients of the clients at zero.

    Args:
        clients: All draws.
        seed: Which of them.
    """
    G = clients.Y[seed] @ clients.X[seed].mT
    dice = torch.Generator().manual_seed(40_000 + seed)
    size = G.shape[-1]
    A, B = torch.randn(2, SKETCH, size, generator=dice, dtype=G.dtype)
    names = range(len(G))
    return sharing_from_gradients(
        {str(k): {"W": B @ G[k]} for k in names},
        {str(k): {"W": G[k] @ A.T} for k in names},
        generator=dice,
    )
