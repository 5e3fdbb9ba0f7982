"""T2: accuracy psi(q) when every adapter is on with probability q."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .._finding import Check, Finding, Picture, Row
from ._arms import ARMS, ToySize, Trained, train_arms
from ._data import Shift
from ._network import BLOCKS, first_layer, last_layer, residual

LEVELS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


def stability(
    *,
    problems: int = 3,
    seeds: int = 3,
    steps: int = 4_000,
    learning_rate: float = 5e-3,
    pretrain_steps: int = 3_000,
    rows: int = 2_000,
) -> Finding:
    """Compare psi(q) of the two arms of the toy, over all 256 sets of blocks.

    Args:
        problems: Pairs of teachers.
        seeds: Runs per problem and arm; psi is averaged over them.
        steps: Steps of the adapters.
        learning_rate: First learning rate of the adapters; cosine to 0.
        pretrain_steps: Steps of the network on the source teacher.
        rows: Test rows used, at most 4,000.

    Returns:
        Passed if, on every problem, CoTo lies above LoRA at q = .25, .5 and .75, and
        psi(1) - psi(.75) is smaller.

    Source: arXiv:2506.05713, dropout stability; check T2 of this project. psi is exact:
        every set of blocks is evaluated and weighted with its probability.
    """
    size = ToySize(problems, seeds, steps, learning_rate, pretrain_steps, Shift())
    trained = train_arms(size)
    psi = trained.by_arm(_curve(count_correct(trained, rows) / rows)).mean(2)
    lead = psi[:, 1] - psi[:, 0]
    drop = psi[..., LEVELS.index(1.0)] - psi[..., LEVELS.index(0.75)]
    checks = [
        Check(f"least lead of CoTo at q={q}", _least(lead, q), low=0, strict=True)
        for q in (0.25, 0.5, 0.75)
    ]
    calmer = float((drop[:, 0] - drop[:, 1]).min())
    what = "least psi(1) - psi(.75) of LoRA minus that of CoTo"
    return Finding(
        name="coto-stability",
        claim="CoTo loses less than LoRA when adapters are switched off.",
        checks=(*checks, Check(what, calmer, low=0, strict=True)),
        rows=tuple(_tabulate(psi)),
        settings={"problems": problems, "seeds": seeds, "steps": steps, "rows": rows},
        picture=Picture(x="q", y="accuracy", by="arm"),
    )


@torch.no_grad()
def count_correct(
    trained: Trained, rows: int, *, chunk: int = 100
) -> Float[Tensor, "R sets"]:
    """Count correct labels for every set of blocks that can be on.

    Args:
        trained: The arms; R copies.
        rows: Test rows used.
        chunk: Rows at a time; bounds the memory (R x 256 x chunk x 96 numbers).

    Returns:
        Counts; block b of set number k is on if bit b of k is set. Sets that agree in
        their first blocks share the computation: 510 blocks instead of 2,048.
    """
    total = torch.zeros(len(trained.test.x), 2**BLOCKS)
    for start in range(0, rows, chunk):
        window = slice(start, min(start + chunk, rows))
        labels = trained.test.y[:, None, window]
        total += (_labels(trained, trained.test.x[:, window]) == labels).sum(-1)
    return total


def _labels(trained: Trained, x: Float[Tensor, "R batch width"]) -> Tensor:
    """Label the rows under every set of blocks, shape (R, 2^blocks, batch)."""
    network, batch = trained.network, x.shape[1]
    more_up, more_down = trained.adapters.updates()
    h = first_layer(network, x)
    for block in range(BLOCKS):
        up, down = network.up[:, block], network.down[:, block]
        off = residual(network, block, h, up, down)
        up, down = up + more_up[:, block], down + more_down[:, block]
        on = residual(network, block, h, up, down)
        # Sets without the block come first, so the block is bit number `block`.
        h = torch.cat([h + off, h + on], dim=1)
    labels = last_layer(network, h).argmax(-1)
    return labels.reshape(len(x), -1, batch)


def _curve(score: Float[Tensor, "R sets"]) -> Float[Tensor, "R levels"]:
    on = [number.bit_count() for number in range(2**BLOCKS)]
    weights = [[q**k * (1 - q) ** (BLOCKS - k) for q in LEVELS] for k in on]
    return score @ torch.tensor(weights)


def _least(lead: Float[Tensor, "problems levels"], q: float) -> float:
    return float(lead[:, LEVELS.index(q)].min())


def _tabulate(psi: Float[Tensor, "problems arms levels"]) -> list[Row]:
    return [
        {
            "arm": arm,
            "q": q,
            "accuracy": float(psi[:, column, level].mean()),
            "least": float(psi[:, column, level].min()),
            "most": float(psi[:, column, level].max()),
        }
        for column, arm in enumerate(ARMS)
        for level, q in enumerate(LEVELS)
    ]
