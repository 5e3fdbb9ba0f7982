"""T1: the loss under random masks bounds the losses of averaged outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from .._finding import Check, Finding, Picture, Row

Loss = Callable[[Float[Tensor, "*batch c"]], Float[Tensor, "*batch"]]

TARGET = (1.0, -0.5, 0.25)


def _cross_entropy(y: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch"]:
    return torch.logsumexp(y, -1) - y[..., 0]


def _squared(y: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch"]:
    return (y - y.new_tensor(TARGET)).square().sum(-1)


def _absolute(y: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch"]:
    return (y - y.new_tensor(TARGET)).abs().sum(-1)


def _concave(y: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch"]:
    return -_squared(y)


CONVEX: Mapping[str, Loss] = {
    "cross-entropy": _cross_entropy,
    "squared": _squared,
    "absolute": _absolute,
}


def mask_bound(
    *,
    seeds: int = 10,
    layers: tuple[int, ...] = (2, 4, 8),
    chances: tuple[float, ...] = (0.1, 0.3, 0.5, 0.75, 0.95),
) -> Finding:
    """Enumerate all masks of small networks and compare the two sides of the bound.

    E loss(y) >= sum_j w_j loss(mean of y given that j adapters are on), with
    w_j = C(L, j) p^j (1 - p)^(L - j), for every convex loss.

    Args:
        seeds: Random networks per depth.
        layers: L, numbers of adapters, each at most 8.
        chances: p, the probability of each adapter to be on.

    Returns:
        Passed if left minus right is >= -1e-10 for every convex loss, network and p,
        and below -1e-10 for every one with a concave loss.

    Source: arXiv:2506.05713; check T1 of this project. y is the output of a residual
        tanh network whose layers each have a random adapter.
    """
    rows: list[Row] = []
    for depth in layers:
        outputs = torch.stack([_enumerate(depth, seed) for seed in range(seeds)])
        for chance in chances:
            for name, loss in (*CONVEX.items(), ("concave", _concave)):
                gaps = gap(outputs, loss, chance)
                row = {
                    "layers": depth,
                    "p": chance,
                    "loss": name,
                    "case": f"{name}, L={depth}",
                }
                least, most = float(gaps.min()), float(gaps.max())
                rows.append(row | {"least": least, "gap": most})
    convex = min(float(row["least"]) for row in rows if row["loss"] != "concave")
    concave = max(float(row["gap"]) for row in rows if row["loss"] == "concave")
    return Finding(
        name="coto-bound",
        claim="The CoTo loss bounds the losses of averaged sub-networks from above.",
        checks=(
            Check("least gap, convex losses", convex, low=-1e-10),
            Check("largest gap, concave loss", concave, high=-1e-10, strict=True),
        ),
        rows=tuple(rows),
        settings={"seeds": seeds},
        picture=Picture(x="p", y="gap", by="case"),
    )


def gap(
    outputs: Float[Tensor, "*batch masks c"], loss: Loss, chance: float
) -> Float[Tensor, "*batch"]:
    """Return E loss(y) - sum_j w_j loss(mean y given j on).

    Args:
        outputs: y under every mask; adapter l of mask k is on if bit l of k is set.
        loss: Maps outputs (..., c) to numbers (...).
        chance: Probability of each adapter to be on.

    Returns:
        The gap, one number per batch entry.
    """
    masks = outputs.shape[-2]
    depth = masks.bit_length() - 1
    on = torch.tensor([number.bit_count() for number in range(masks)])
    values, right = loss(outputs), torch.zeros(outputs.shape[:-2], dtype=outputs.dtype)
    left = torch.zeros_like(right)
    for j in range(depth + 1):
        weight = math.comb(depth, j) * chance**j * (1 - chance) ** (depth - j)
        left += weight * values[..., on == j].mean(-1)
        right += weight * loss(outputs[..., on == j, :].mean(-2))
    return left - right


def _enumerate(depth: int, seed: int, *, width: int = 6) -> Float[Tensor, "masks c"]:
    """Compute the outputs of one random network under all 2^L masks."""
    generator = torch.Generator().manual_seed(1_000 * depth + seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    base, adapter = normal(depth, width, width), normal(depth, width, width)
    last, x = normal(len(TARGET), width), normal(width)
    outputs: list[Tensor] = []
    for number in range(2**depth):
        h = x
        for layer in range(depth):
            on = number >> layer & 1
            weight = base[layer] + on * adapter[layer]
            h = h + torch.tanh(weight @ h / width**0.5)
        outputs.append(last @ h / width**0.5)
    return torch.stack(outputs)
