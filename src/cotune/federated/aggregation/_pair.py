"""One global pair (A, B) at the largest rank, of which each client takes its part.

Base of the methods for mixed ranks that hand out a truncated copy. The pair has a scale
s of its own, and a client another one, s_k: delta = s B A = s_k (s / s_k B) A. Leaving
the ratio out changes every update by r_k / r.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..._errors import ConfigError
from ._aggregator import Aggregator
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


def pad_pair(tensors: Tensors, rank: int, ratio: float) -> dict[str, Tensor]:
    """Add zero rows to A and zero columns to B, up to ``rank``.

    Args:
        tensors: A (r_k, d_in) and B (d_out, r_k), r_k <= rank.
        rank: R.
        ratio: B is multiplied by it, in float64: s_k / s.

    Returns:
        A (rank, d_in), B (d_out, rank), and ``filled`` (rank,), 1 where a row was.
    """
    more = rank - tensors["A"].shape[0]
    ones = torch.ones_like(tensors["A"][:, 0])
    # float64 only if needed: then one client gets its own B back, bit for bit.
    B = tensors["B"] if ratio == 1 else tensors["B"].double() * ratio
    return {
        "A": pad(tensors["A"], (0, 0, 0, more)),
        "B": pad(B, (0, more)),
        "filled": pad(ones, (0, more)),
    }


def keep_unfilled(mean: Tensors, state: Tensors) -> dict[str, Tensor]:
    """Restore the rows of A and columns of B that no client of the round has.

    Zero in both would be a saddle that no gradient leaves: the rows would be lost for
    good as soon as the widest clients miss one round.

    Args:
        mean: A (R, d_in), B (d_out, R) and ``filled`` (R,), 0 where nobody had a row.
        state: A and B before the round.

    Returns:
        A and B.
    """
    there = mean["filled"] > 0
    return {
        "A": torch.where(there[:, None], mean["A"], state["A"].to(mean["A"].dtype)),
        "B": torch.where(there, mean["B"], state["B"].to(mean["B"].dtype)),
    }


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
