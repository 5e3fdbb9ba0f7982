"""F10: with different ranks, private factors must persist between the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .._descent import descend
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
    """Run the rounds; return the test error at the start of each, and at the end."""
    seeds, _, size, _ = clients.W.shape
    generator = torch.Generator().manual_seed(40_000)
    sum_B = torch.zeros(seeds, 1, size, plan.middle, dtype=torch.float64)
    private = _draw_private(clients, plan, generator)
    errors = [_error(clients, plan, sum_B, private)]
    for _ in range(rounds):
        private, sent = _train_locally(clients, plan, sum_B, private, generator)
        # Equal weights: every client has the same number of points.
        sum_B = sum_B + sent.mean(1, keepdim=True)
        if not keep:
            private = _draw_private(clients, plan, generator)
        errors.append(_error(clients, plan, sum_B, private))
    return errors


def _train_locally(
    clients: Clients,
    plan: _Plan,
    sum_B: Float[Tensor, "seeds 1 d middle"],
    private: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor], Float[Tensor, "seeds K d middle"]]:
    """Train A_k, M_k, B1_k, B2_k; return (A_k, M_k) and what is sent, B2_k B1_k."""
    on = _rank_mask(plan.ranks)
    seeds, count, size, _ = clients.W.shape
    widest = max(plan.ranks)
    shape = (seeds, count, widest, plan.middle)
    first = draw_kaiming(shape, plan.middle, generator)
    second = torch.zeros(seeds, count, size, widest, dtype=torch.float64)

    def loss(_: int, factors: Sequence[Tensor]) -> Tensor:
        A, M, B1, B2 = factors
        up = sum_B + B2 @ (on * B1)
        return clients.loss(plan.scale * up @ (M @ (on * A)))

    A, M, B1, B2 = descend(
        (*private, first, second),
        loss,
        steps=plan.local_steps,
        learning_rate=plan.learning_rate,
    )
    return (A, M), B2 @ (on * B1)


def _draw_private(
    clients: Clients, plan: _Plan, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw A_k and M_k of every client, padded to the widest rank."""
    seeds, count, size, _ = clients.W.shape
    widest = max(plan.ranks)
    A = draw_kaiming((seeds, count, widest, size), size, generator)
    unit = draw_kaiming((seeds, count, plan.middle, widest), 1, generator)
    fan_in = torch.tensor(plan.ranks, dtype=torch.float64)[:, None, None]
    return A, unit / fan_in.sqrt()


def _rank_mask(ranks: tuple[int, ...]) -> Float[Tensor, "K widest 1"]:
    # All clients are padded to the widest rank: a row of zeros in A and in B1 cuts the
    # padding off in value and in gradient, so that one batch serves all ranks.
    number = torch.arange(max(ranks))
    return (number < torch.tensor(ranks)[:, None]).double()[..., None]


def _error(
    clients: Clients, plan: _Plan, sum_B: Tensor, private: tuple[Tensor, Tensor]
) -> float:
    A, M = private
    update = plan.scale * sum_B @ (M @ (_rank_mask(plan.ranks) * A))
    return float(clients.test_error(update).mean())
