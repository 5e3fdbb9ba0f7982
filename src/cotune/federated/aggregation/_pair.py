"""One global pair (A, B) at the largest rank, of which each client takes its part.

Base of the methods for mixed ranks that hand out a truncated copy. The pair has a scale
s of its own, and a client another one, s_k: delta = s B A = s_k (s / s_k B) A. Leaving
the ratio out changes every update by r_k / r.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._errors import ConfigError
from ._aggregator import Aggregator
from ._mean import RunningMean
from ._packet import Cohort, Packet, Received, Seat, Shapes, Site, Tensors


def pair_shapes(site: Site, rank: int) -> Shapes:
    """Return A (rank, d_in) and B (d_out, rank)."""
    return {"A": (rank, site.d_in), "B": (site.d_out, rank)}


def cut_pair(tensors: Tensors, rank: int, ratio: float) -> dict[str, Tensor]:
    """Keep the first ``rank`` rows of A and columns of B.

    Args:
        tensors: A (R, d_in) and B (d_out, R), R >= rank.
        rank: r_k.
        ratio: B is multiplied by it: s / s_k.

    Returns:
        New, contiguous tensors A (rank, d_in) and B (d_out, rank).
    """
    return {
        "A": tensors["A"][:rank].clone(),
        "B": (tensors["B"][:, :rank] * ratio).contiguous(),
    }


class PairMean:
    """The mean of pairs of any rank, as if padded with zeros; of one layer.

    Zeros are never added up: pairs of one rank share a running mean, and these are
    padded at the end. Memory depends on how many ranks there are, not how many pairs.
    """

    def __init__(self) -> None:
        self._ranks: dict[int, tuple[RunningMean, RunningMean]] = {}

    def add(
        self,
        pairs: Sequence[Tensors],
        ratios: Sequence[float],
        weights: Sequence[float],
    ) -> None:
        """Average some more pairs.

        Args:
            pairs: A (r_k, d_in) and B (d_out, r_k); not modified, and not kept.
            ratios: One per pair, s_k / s: B is multiplied by it.
            weights: One per pair, at least 0.
        """
        groups: dict[int, list[int]] = {}
        for index, pair in enumerate(pairs):
            groups.setdefault(pair["A"].shape[0], []).append(index)
        for rank, group in groups.items():
            means = self._ranks.setdefault(rank, (RunningMean(), RunningMean()))
            shares = [weights[k] for k in group]
            means[0].add([pairs[k]["A"] for k in group], shares)
            means[1].add([rescale(pairs[k]["B"], ratios[k]) for k in group], shares)

    def value(self, state: Tensors) -> dict[str, Tensor]:
        """Return the mean of the padded pairs, in the shape and dtype of ``state``.

        Rows of A and columns of B beyond the widest pair are those of ``state``. Zero
        in both would be a saddle that no gradient leaves: they would be lost for good
        as soon as the widest clients miss one round.

        Args:
            state: A (R, d_in) and B (d_out, R) before the round.
        """
        ranks = {rank: x for rank, x in self._ranks.items() if x[0].total > 0}
        total = math.fsum(mean.total for mean, _ in ranks.values())
        work = torch.promote_types(state["A"].dtype, torch.float32)
        A, B = (torch.empty_like(state[role], dtype=work) for role in "AB")
        # The widest pair first: it fills, the others add, and nothing is zeroed before.
        widest, *narrower = sorted(ranks, reverse=True)
        share = ranks[widest][0].total / total
        torch.mul(ranks[widest][0].value(), share, out=A[:widest])
        torch.mul(ranks[widest][1].value(), share, out=B[:, :widest])
        A[widest:] = state["A"][widest:]
        B[:, widest:] = state["B"][:, widest:]
        for rank in narrower:
            share = ranks[rank][0].total / total
            A[:rank].add_(ranks[rank][0].value(), alpha=share)
            B[:, :rank].add_(ranks[rank][1].value(), alpha=share)
        return {"A": A.to(state["A"].dtype), "B": B.to(state["B"].dtype)}


def rescale(tensor: Tensor, ratio: float) -> Tensor:
    """Multiply in float64, unless the ratio is 1: then the tensor itself is returned.

    So a client that is alone gets its own B back, bit for bit.
    """
    return tensor if ratio == 1 else tensor.double() * ratio


class PairAggregator(Aggregator):
    """Base: A and B are shared, clients of any rank, the server holds one wide pair."""

    shared = ("A", "B")
    equal_ranks = False
    equal_uploads = False

    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return the client's own pair, at its own rank."""
        return pair_shapes(site, rank)

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return a pair of the client's rank: the server cuts."""
        del cohort
        return pair_shapes(site, rank)

    def download(self, state: Packet, seat: Seat) -> Packet:
        """Cut the pair to r_k, and divide s_k out of B."""
        return cut_packet(state, seat)

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Load the pair that the server has cut."""
        del seat
        return Received(got.layers)

    def start(self, first: Packet) -> Packet:
        """Take the pair of the common start; its rank is the largest ever allowed."""
        return first.pick(self.shared)

    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes at the rank that was sent, at most that of the state."""
        (widest, d_in), d_out = state["A"].shape, state["B"].shape[0]
        rank = min(sent["A"].shape[0], widest)
        return pair_shapes(Site(d_in=d_in, d_out=d_out), rank)


def cut_packet(state: Packet, seat: Seat) -> Packet:
    """Cut every layer of a wide pair to one client's rank and scale.

    Args:
        state: Layers with A (R, d_in) and B (d_out, R).
        seat: r_k, at most R, and s_k.

    Returns:
        New tensors at rank r_k, with scale s_k.

    Raises:
        ConfigError: The pair is narrower than the client.
    """
    ratio = state.scale / seat.scale
    for layer, tensors in state.layers.items():
        if tensors["A"].shape[0] < seat.rank:
            raise ConfigError(
                f"download: rank must be at most that of the server's pair, got "
                f"{seat.rank} and {tensors['A'].shape[0]} in layer {layer!r}. "
                f"Start the server with an adapter of the largest rank."
            )
    cut = {n: cut_pair(t, seat.rank, ratio) for n, t in state.layers.items()}
    return Packet(cut, seat.scale)
