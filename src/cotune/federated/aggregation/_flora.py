"""FLoRA: stack all pairs; everyone folds the product and starts afresh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..._adapter import LowRank
from ._aggregator import Aggregator
from ._packet import Cohort, Packet, Received, Seat, Shapes, Site, Tensors
from ._pair import pair_shapes
from ._round import Keep, Reply, shares


class FLoRA(Aggregator):
    """A = [p_k s_k A_k], B = [B_k]: B A is exactly the mean update, at rank sum r_k.

    Each client adds B A to its frozen part and draws a new pair, so the payload of
    every round counts once, and a client that missed one needs it before the next. The
    payload grows with the clients of the round.

    Source: arXiv:2409.05976, stacking. Differs: s_k is explicit, so clients may differ
    in alpha; the base weight itself is not touched, the fold is kept beside it.
    """

    shared = ("A", "B")
    restart = ("A", "B")
    exact = "product"
    linear = False
    equal_uploads = False
    equal_ranks = False
    replaces = False

    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return the client's own pair."""
        return pair_shapes(site, rank)

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return the stack: rank is the sum over the clients that replied."""
        del rank
        return pair_shapes(site, sum(cohort.ranks))

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Fold the product of the stack; load nothing, the client restarts its pair."""
        del seat
        return Received({}, fold_pairs(got, "A", "B"))

    def start(self, first: Packet) -> Packet:
        """Return an empty stack, A (0, d_in) and B (d_out, 0): nothing to fold yet."""
        layers = first.pick(self.shared).layers
        return Packet(
            {n: {"A": t["A"][:0], "B": t["B"][:, :0]} for n, t in layers.items()}
        )

    def step(self, state: Packet) -> Keep:
        """Keep all replies: the stack holds them."""
        return Keep(partial(stack_pairs, state))

    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes at the rank that was sent."""
        site = Site(d_in=state["A"].shape[1], d_out=state["B"].shape[0])
        return pair_shapes(site, sent["A"].shape[0])


def stack_pairs(state: Packet, replies: Sequence[Reply]) -> Packet:
    """Stack pairs so that the product of the stack is the mean update.

    Args:
        state: The last stack; gives the dtype only.
        replies: Pairs A (r_k, d_in), B (d_out, r_k), with scales s_k and weights n_k.

    Returns:
        A (sum r_k, d_in) with p_k s_k inside, B (d_out, sum r_k), scale 1.
    """
    weights = shares(replies)
    layers: dict[str, dict[str, Tensor]] = {}
    for layer, old in state.layers.items():
        right: list[Tensor] = []
        left: list[Tensor] = []
        for p, (_, packet, _) in zip(weights, replies, strict=True):
            right.append(packet.layers[layer]["A"] * (p * packet.scale))
            left.append(packet.layers[layer]["B"])
        stack = {"A": torch.cat(right), "B": torch.cat(left, dim=1)}
        layers[layer] = {role: x.to(old[role].dtype) for role, x in stack.items()}
    return Packet(layers)


def fold_pairs(got: Packet, right: str, left: str) -> dict[str, LowRank]:
    """Read one pair of roles per layer as an update to fold; skip those of rank 0.

    Args:
        got: The payload; the update is left @ right, in units of the base weight.
        right: Role of shape (R, d_in).
        left: Role of shape (d_out, R).

    Returns:
        Layer -> update. Tensors are those of ``got``.
    """
    pairs = {n: LowRank(A=t[right], B=t[left]) for n, t in got.layers.items()}
    return {layer: pair for layer, pair in pairs.items() if pair.rank}
