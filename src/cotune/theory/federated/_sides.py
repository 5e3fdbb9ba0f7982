"""F9: which factor to share depends on what the clients have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .._descent import descend
from .._finding import Check, Finding, Picture, Row
from ._clients import SHARED, Clients, draw_clients, draw_kaiming

SIDES = {"local": "", "share-A": "A", "share-B": "B", "share-both": "AB"}
"""Way of training -> the factors that the server averages."""


def shared_sides(
    *,
    seeds: int = 3,
    rounds: int = 20,
    local_steps: int = 40,
    learning_rate: float = 5e-3,
    rank: int = 8,
    scale: float = 2.0,
) -> Finding:
    """Share A, B, both or nothing among clients with a common column or row space.

    Args:
        seeds: Draws of data and start.
        rounds: Rounds of training and averaging.
        local_steps: Adam steps per round on all points of a client; Adam starts afresh
            every round.
        learning_rate: Of Adam.
        rank: r of every client; the truth has rank 4.
        scale: alpha / r.

    Returns:
        Passed if, by the mean test error after the last averaging, share-B < .6 x
        local under a common column space, and under a common row space share-A < .6 x
        local and share-B > local. The rows also hold the error after local training
        and that of the worst client.

    Source: arXiv:2509.25414 shares B; check F9 of this project.
    """
    rows: list[Row] = []
    for space in SHARED:
        clients = draw_clients(space, seeds=seeds)
        for name, shared in SIDES.items():
            trained, averaged = train_federated(
                clients,
                shared,
                rounds=rounds,
                local_steps=local_steps,
                learning_rate=learning_rate,
                rank=rank,
                scale=scale,
            )
            rows.append(
                {
                    "space": space,
                    "shared": name,
                    "error": float(averaged.mean()),
                    "worst": float(averaged.max(dim=1).values.mean()),
                    "error_before": float(trained.mean()),
                }
            )
    return Finding(
        name="federated-sides",
        claim="Share B for a common column space, A for a common row space.",
        checks=_judge(rows),
        rows=tuple(rows),
        settings={
            "seeds": seeds,
            "rounds": rounds,
            "local_steps": local_steps,
            "learning_rate": learning_rate,
            "rank": rank,
            "scale": scale,
        },
        picture=Picture(x="shared", y="error", by="space", log_y=True),
    )


def train_federated(
    clients: Clients,
    shared: str,
    *,
    rounds: int,
    local_steps: int,
    learning_rate: float,
    rank: int,
    scale: float,
) -> tuple[Float[Tensor, "seeds K"], Float[Tensor, "seeds K"]]:
    """Train scale * B_k A_k on every client, averaging the shared factors each round.

    Args:
        clients: Data and truth.
        shared: Letters of the factors that the server averages, e.g. ``"B"``; clients
            start from one common draw of a shared A.
        rounds: Rounds of training and averaging.
        local_steps: Adam steps per round.
        learning_rate: Of Adam.
        rank: r.
        scale: alpha / r.

    Returns:
        Test errors after the local training of the last round, and after its average.
    """

    def loss(_: int, factors: Sequence[Tensor]) -> Tensor:
        return clients.loss(_multiply(factors, scale))

    factors = _start(clients, rank, common="A" in shared)
    trained = clients.test_error(_multiply(factors, scale))
    for _ in range(rounds):
        factors = descend(factors, loss, steps=local_steps, learning_rate=learning_rate)
        trained = clients.test_error(_multiply(factors, scale))
        named = zip("AB", factors, strict=True)
        factors = [_average(f) if name in shared else f for name, f in named]
    return trained, clients.test_error(_multiply(factors, scale))


def _multiply(factors: Sequence[Tensor], scale: float) -> Float[Tensor, "seeds K d d"]:
    A, B = factors
    return scale * B @ A


def _start(clients: Clients, rank: int, *, common: bool) -> list[Tensor]:
    seeds, count, size, _ = clients.W.shape
    generators = [torch.Generator().manual_seed(30_000 + s) for s in range(seeds)]
    shape = (count, rank, size)
    own = torch.stack([draw_kaiming(shape, size, g) for g in generators])
    A = own[:, :1].expand_as(own) if common else own
    return [A, torch.zeros(seeds, count, size, rank, dtype=torch.float64)]


def _average(factor: Float[Tensor, "seeds K p q"]) -> Float[Tensor, "seeds K p q"]:
    return factor.mean(1, keepdim=True).expand_as(factor)


def _judge(rows: list[Row]) -> tuple[Check, ...]:
    error = {(row["space"], row["shared"]): float(row["error"]) for row in rows}

    def ratio(space: str, name: str) -> float:
        return error[space, name] / error[space, "local"]

    return (
        Check(
            "column space: share-B / local",
            ratio("column", "share-B"),
            high=0.6,
            strict=True,
        ),
        Check(
            "row space: share-A / local", ratio("row", "share-A"), high=0.6, strict=True
        ),
        Check(
            "row space: share-B / local", ratio("row", "share-B"), low=1.0, strict=True
        ),
    )
