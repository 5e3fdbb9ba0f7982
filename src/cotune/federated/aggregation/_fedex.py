"""FedEx-LoRA: plain means, and what they lose is folded into the frozen part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ._aggregator import Aggregator
from ._flora import fold_pairs
from ._mean import block_mean, cast_like
from ._packet import Cohort, Packet, Received, Seat, Shapes, Site, Tensors
from ._pair import pair_shapes
from ._round import Keep, Reply, shares


class FedEx(Aggregator):
    """A = sum p_k A_k, B = sum p_k B_k, rest R = sum p_k s B_k A_k - s B A, folded.

    R is a covariance, s sum_k p_k (B_k - B)(A_k - A), so K clients need rank (K - 1) r
    for it: R = s sum_(k < K) p_k (B_k - B)(A_k - A_K). One client has no rest. It is
    sent as factors, for nn.Linear's (d_out, d_in), and every client adds it, once, to
    its frozen part. It grows with the clients of the round.

    Source: arXiv:2410.09432. Differs: weights n_k / sum n instead of 1 / K; factors of
    rank (K - 1) r instead of K r; the released code's rest is transposed for nn.Linear.
    """

    shared = ("A", "B")
    exact = "product"
    linear = False
    equal_uploads = True
    equal_ranks = True
    replaces = False

    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return the client's pair."""
        return pair_shapes(site, rank)

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return the mean pair and the factors of the rest, of rank (K - 1) r."""
        rest = pair_shapes(site, max(0, len(cohort.ranks) - 1) * rank)
        return {
            **pair_shapes(site, rank),
            "A_rest": rest["A"],
            "B_rest": rest["B"],
        }

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Load the means, fold the rest."""
        del seat
        return Received(
            got.pick(self.shared).layers, fold_pairs(got, "A_rest", "B_rest")
        )

    def start(self, first: Packet) -> Packet:
        """Take the pair of the common start, with an empty rest."""
        layers = {
            layer: {**own, "A_rest": own["A"][:0], "B_rest": own["B"][:, :0]}
            for layer, own in first.pick(self.shared).layers.items()
        }
        return Packet(layers, first.scale)

    def step(self, state: Packet) -> Keep:
        """Keep all replies: the rest holds them."""
        return Keep(partial(average_with_rest, state))

    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes of the state's pair."""
        return {role: tuple(state[role].shape) for role in sent}


def average_with_rest(state: Packet, replies: Sequence[Reply]) -> Packet:
    """Average the factors, and write down what the product of the means misses.

    Args:
        state: Gives the scale s and the dtype.
        replies: Pairs A (r, d_in), B (d_out, r).

    Returns:
        A, B, A_rest ((K - 1) r, d_in) with s inside, and B_rest (d_out, (K - 1) r) with
        p_k inside.
    """
    weights = shares(replies)
    layers: dict[str, dict[str, Tensor]] = {}
    for layer in state.layers:
        A = [reply.packet.layers[layer]["A"] for reply in replies]
        B = [reply.packet.layers[layer]["B"] for reply in replies]
        layers[layer] = _average_layer(A, B, weights, state.scale)
    return Packet(cast_like(layers, state.layers), state.scale)


def _average_layer(
    A: Sequence[Tensor], B: Sequence[Tensor], weights: Sequence[float], scale: float
) -> dict[str, Tensor]:
    mean_A, mean_B = block_mean(A, weights), block_mean(B, weights)
    last = A[-1].to(mean_A.dtype)
    right = [scale * (a - last) for a in A[:-1]]
    left = [p * (b - mean_B) for p, b in zip(weights, B[:-1], strict=False)]
    return {
        "A": mean_A,
        "B": mean_B,
        "A_rest": torch.cat([last[:0], *right]),
        "B_rest": torch.cat([mean_B[:, :0], *left], dim=1),
    }
