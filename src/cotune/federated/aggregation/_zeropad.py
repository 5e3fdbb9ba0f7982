"""Zero padding: clients of any rank, averaged as if all had the largest one."""

from __future__ import annotations

from functools import partial

from ._mean import Mean
from ._packet import Cohort, Layers, Packet, Received, Seat, Shapes, Site
from ._pair import PairAggregator, cut_packet, keep_unfilled, pad_pair, pair_shapes


class ZeroPad(PairAggregator):
    """Pad each pair with zeros to the largest rank, average the factors, truncate.

    A = sum p_k pad(A_k), s B = sum p_k s_k pad(B_k). Rows beyond the widest client of
    the round keep their value. A client sends its own rank, since zeros need not
    travel, and gets the whole pair, which it cuts itself.

    Not exact: cross terms as in `fedit`, and rows that few clients have shrink towards
    zero. The baseline for mixed ranks of arXiv:2509.25414.
    """

    exact = "no"
    linear = True

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return the pair at the largest rank of the federation."""
        del rank
        return pair_shapes(site, cohort.widest)

    def download(self, state: Packet, seat: Seat) -> Packet:
        """Send the whole pair, the same to all."""
        del seat
        return state

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Cut the pair to r_k, and divide s_k out of B."""
        return Received(cut_packet(got, seat).layers)

    def step(self, state: Packet) -> Mean:
        """Pad, then average."""
        return Mean(state, partial(_pad, state), partial(_restore, state.layers))


def _pad(state: Packet, packet: Packet) -> Packet:
    ratio = packet.scale / state.scale
    padded = {
        layer: pad_pair(tensors, state.layers[layer]["A"].shape[0], ratio)
        for layer, tensors in packet.layers.items()
    }
    return Packet(padded, state.scale)


def _restore(state: Layers, mean: Layers) -> Layers:
    return {layer: keep_unfilled(mean[layer], state[layer]) for layer in mean}
