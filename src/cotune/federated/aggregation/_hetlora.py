"""HetLoRA: zero padding, weighted by the size of each client's update."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor

from ._packet import Packet, Tensors
from ._pair import PairAggregator, PairMean
from ._round import BLOCK, Keep, Reply, shares


class HetLoRA(PairAggregator):
    """Pad to the largest rank, weight by ||s_k B_k A_k||_F, average, truncate.

    The weights are per layer, and replace n_k. If every norm of a layer is zero (nobody
    has trained it yet) the weights are n_k / sum n. Rows beyond the widest client of
    the round keep their value.

    Source: arXiv:2401.06432, sparsity-weighted aggregation and truncation. Differs: s_k
    is explicit; no rank self-pruning, ranks stay as they are.
    """

    exact = "no"
    linear = False  # the weights depend on what is averaged

    def step(self, state: Packet) -> Keep:
        """Keep all replies: the weights need every norm."""
        return Keep(partial(average_by_norm, state))


def average_by_norm(state: Packet, replies: Sequence[Reply]) -> Packet:
    """Average padded pairs with weights proportional to the norms of the updates.

    Args:
        state: Pair A (R, d_in), B (d_out, R) per layer, and its scale.
        replies: Pairs of rank at most R, with their scales.

    Returns:
        The new pair, in the shapes, dtype and scale of ``state``.
    """
    layers = {
        layer: _average_layer(layer, state, tensors, replies)
        for layer, tensors in state.layers.items()
    }
    return Packet(layers, state.scale)


def delta_norm(A: Float[Tensor, "r d_in"], B: Float[Tensor, "d_out r"]) -> float:
    """Return ||B A||_F from two r x r Gram matrices, in float64.

    ||B A||_F^2 = sum of (B^T B) * (A A^T): costs r^2 (d_in + d_out), not d_out x d_in.
    """
    left, right = B.double(), A.double()
    grams = (left.mT @ left) * (right @ right.mT)
    return float(grams.sum().clamp(min=0).sqrt())


def _average_layer(
    layer: str, state: Packet, old: Tensors, replies: Sequence[Reply]
) -> dict[str, Tensor]:
    sent = [reply.packet.layers[layer] for reply in replies]
    ratios = [reply.packet.scale / state.scale for reply in replies]
    norms = [
        ratio * delta_norm(own["A"], own["B"])
        for own, ratio in zip(sent, ratios, strict=True)
    ]
    weights = norms if any(norms) else shares(replies)
    mean = PairMean()
    for start in range(0, len(sent), BLOCK):
        block = slice(start, start + BLOCK)
        mean.add(sent[block], ratios[block], weights[block])
    return mean.value(old)
