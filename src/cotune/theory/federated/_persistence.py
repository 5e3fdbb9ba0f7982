"""F10: with different ranks, private factors must persist between the rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .._finding import Check, Finding, Picture, Row
from ._clients import Clients, draw_clients, draw_kaiming

RANKS = (32, 32, 16, 16, 8, 8, 4, 4)
"""Half of the paper's ranks, as the toy is small; the truth has rank 4."""


def persistence(
    *,
    seeds: int = 3,
    rounds: int = 20,
    local_steps: int = 40,
    learning_rate: float = 5e-3,
    ranks: tuple[int, ...] = RANKS,
    middle: int = 8,
    scale: float = 2.0,
) -> Finding:
    """Train Fed-ALoRA with different ranks, keeping A_k and M_k or redrawing them.

    Args:
        seeds: Draws of data and start.
        rounds: Rounds of training and summing.
        local_steps: Adam steps per round on all points of a client.
        learning_rate: Of Adam.
        ranks: r_k, one per client.
        middle: d_m, the width of the accumulator B0.
        scale: alpha_k / r_k, equal for all.

    Returns:
        Passed if the mean test error at the start of the round after the last one is
        at least 5 times lower with persistent factors. Clients share a column space.

    Source: arXiv:2509.25414, Fed-ALoRA for any ranks; check F10 of this project. The
        released code redraws the private factors every round.
    """
    clients = draw_clients("column", seeds=seeds, clients=len(ranks))
    rows: list[Row] = []
    last: dict[str, float] = {}
    for name, keep in (("kept", True), ("redrawn", False)):
        errors = _train(
            clients,
            _Plan(ranks, middle, scale, local_steps, learning_rate),
            rounds=rounds,
            keep=keep,
        )
        last[name] = errors[-1]
        rows += [
            {"private": name, "round": number, "error": error}
            for number, error in enumerate(errors)
        ]
    ratio = last["redrawn"] / last["kept"]
    return Finding(
        name="federated-persistence",
        claim="Redrawing the private factors makes the accumulator meaningless.",
        checks=(Check("error redrawn / kept at the start of a round", ratio, low=5),),
        rows=tuple(rows),
        settings={
            "seeds": seeds,
            "rounds": rounds,
            "local_steps": local_steps,
            "learning_rate": learning_rate,
            "ranks": " ".join(map(str, ranks)),
            "middle": middle,
        },
        picture=Picture(x="round", y="error", by="private", log_y=True),
    )


@dataclass(frozen=True)
class _Plan:
    ranks: tuple[int, ...]
    middle: int
    scale: float
    local_steps: int
    learning_rate: float


def _train(clients: Clients, plan: _Plan, *, rounds: int, keep: bool) -> list[float]:
    """Run the rounds; return the mean test error at the start of each, and at the end."""
    seeds, _, size, _ = clients.W.shape
    generator = torch.Generator().manual_seed(40_000)
    B0 = torch.zeros(seeds, 1, size, plan.middle, dtype=torch.float64)
    A, M = _draw_private(clients, plan, generator)
    errors = [_error(clients, plan.scale * B0 @ M @ A)]
    for _ in range(rounds):
        A, M, dB = _train_locally(clients, plan, (A, M, B0), generator)
        # Equal weights: every client has the same number of points.
        B0 = B0 + dB.mean(1, keepdim=True)
        if not keep:
            A, M = _draw_private(clients, plan, generator)
        errors.append(_error(clients, plan.scale * B0 @ M @ A))
    return errors


def _train_locally(
    clients: Clients,
    plan: _Plan,
    start: tuple[Tensor, Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Train A, M, B1, B2 of every client; return A, M and dB = B2 B1."""
    on = _rank_mask(plan.ranks)
    A, M, B0 = start
    seeds, count, widest, size = A.shape
    shape = (seeds, count, widest, plan.middle)
    B1 = draw_kaiming(shape, plan.middle, generator)
    B2 = torch.zeros(seeds, count, size, widest, dtype=torch.float64)
    A, M = A.clone().requires_grad_(), M.clone().requires_grad_()
    B1, B2 = B1.requires_grad_(), B2.requires_grad_()
    adam = torch.optim.Adam([A, M, B1, B2], lr=plan.learning_rate)
    for _ in range(plan.local_steps):
        adam.zero_grad()
        B = B0 + B2 @ (on * B1)
        clients.loss(plan.scale * B @ (M @ (on * A))).backward()
        adam.step()
    return (on * A).detach(), M.detach(), (B2 @ (on * B1)).detach()


def _draw_private(
    clients: Clients, plan: _Plan, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    seeds, count, size, _ = clients.W.shape
    widest = max(plan.ranks)
    A = draw_kaiming((seeds, count, widest, size), size, generator)
    M = draw_kaiming((seeds, count, plan.middle, widest), 1, generator)
    bound = torch.tensor([1 / math.sqrt(rank) for rank in plan.ranks])
    return _rank_mask(plan.ranks) * A, M * bound.double()[:, None, None]


def _rank_mask(ranks: tuple[int, ...]) -> Float[Tensor, "K widest one"]:
    # All clients are padded to the widest rank: a row of zeros in A and in B1 cuts the
    # padding off in value and in gradient, so that one batch serves all ranks.
    number = torch.arange(max(ranks))
    return (number < torch.tensor(ranks)[:, None]).double()[..., None]


def _error(clients: Clients, update: Tensor) -> float:
    return float(clients.test_error(update).mean())
