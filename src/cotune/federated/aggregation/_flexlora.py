"""FlexLoRA: average the updates, split the mean by SVD, hand out what fits."""

# torch.linalg ships without types, and all of this file is linear algebra.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ._packet import Packet, Tensors
from ._pair import PairAggregator
from ._round import Keep, Reply, shares

NOISE = 1e-12
"""Singular values below this share of the largest are rounding; float64."""


class FlexLoRA(PairAggregator):
    """D = sum p_k s_k B_k A_k = U S V^T; client k gets the top r_k: s_k B A ~ D.

    The split is A = V^T, B = U S / s: rows of A keep unit length, as after a Kaiming
    start, and a direction of strength zero can still learn (A is not zero there). Where
    D has fewer directions than the state has rows, the last rows of the state's A fill
    up, made orthogonal to V, with B = 0. D is never multiplied out.

    The server holds D truncated to the largest rank R of the federation; each client's
    copy is the best one of rank r_k.

    Source: arXiv:2402.11505. Differs: s_k is explicit, so clients may differ in alpha;
    QR of the stacked factors and SVD of the small core instead of SVD of d_out x d_in.
    """

    exact = "truncated"
    linear = False

    def step(self, state: Packet) -> Keep:
        """Keep all replies: their stack is decomposed."""
        return Keep(partial(decompose_mean, state))


def decompose_mean(state: Packet, replies: Sequence[Reply]) -> Packet:
    """Split the mean update by SVD, layer by layer, in float64.

    Args:
        state: Pair A (R, d_in), B (d_out, R) per layer, and its scale s.
        replies: Pairs of any rank r_k, with their scales s_k.

    Returns:
        The pair with orthonormal rows of A, columns of B in falling order of length,
        and s B A the best approximation of rank R to the mean update.
    """
    weights = shares(replies)
    layers = {
        layer: _decompose_layer(layer, state.scale, old, replies, weights)
        for layer, old in state.layers.items()
    }
    return Packet(layers, state.scale)


def split_product(
    B: Float[Tensor, "d_out n"], A: Float[Tensor, "n d_in"]
) -> tuple[Float[Tensor, "d_out k"], Float[Tensor, "k d_in"]]:
    """Return (U S, V^T) of B @ A at its numerical rank k, without the product itself.

    The largest entry of each row of V^T is positive, which fixes the signs. Directions
    of no strength are left out: which ones they are is up to rounding.
    """
    left, small_left = torch.linalg.qr(B)
    right, small_right = torch.linalg.qr(A.mT)
    U, S, Vh = torch.linalg.svd(small_left @ small_right.mT, full_matrices=False)
    k = int((S > NOISE * S[0]).sum())
    US, rows = left @ (U[:, :k] * S[:k]), Vh[:k] @ right.mT
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    signs = largest.sign().squeeze(1)
    return US * signs, rows * signs[:, None]


def _decompose_layer(
    layer: str,
    scale: float,
    old: Tensors,
    replies: Sequence[Reply],
    weights: Sequence[float],
) -> dict[str, Tensor]:
    packets = [(r.packet.layers[layer], r.packet.scale) for r in replies]
    B = torch.cat(
        [
            own["B"].double() * (p * s_k / scale)
            for (own, s_k), p in zip(packets, weights, strict=True)
        ],
        dim=1,
    )
    A = torch.cat([own["A"].double() for own, _ in packets])
    US, Vh = split_product(B, A)
    rank = old["A"].shape[0]
    new = _fill_up(US[:, :rank], Vh[:rank], old["A"].double())
    return {role: x.to(old[role].dtype) for role, x in new.items()}


def _fill_up(
    B: Float[Tensor, "d_out k"],
    A: Float[Tensor, "k d_in"],
    old: Float[Tensor, "R d_in"],
) -> dict[str, Tensor]:
    missing = old.shape[0] - A.shape[0]
    if not missing:
        return {"A": A, "B": B}
    # QR keeps the span of the first columns, so what follows is orthogonal to A.
    basis = torch.linalg.qr(torch.cat([A, old[A.shape[0] :]]).mT)[0]
    more = torch.zeros_like(old[:missing])
    extra = basis.mT[A.shape[0] :]
    more[: extra.shape[0]] = extra
    return {
        "A": torch.cat([A, more]),
        "B": torch.cat([B, B.new_zeros(B.shape[0], missing)], 1),
    }
