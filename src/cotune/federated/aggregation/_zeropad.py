"""Zero padding: clients of any rank, averaged as if all had the largest one."""

from __future__ import annotations

from collections.abc import Sequence

from ._packet import Cohort, Packet, Received, Seat, Shapes, Site
from ._pair import PairAggregator, PairMean, cut_packet, pair_shapes
from ._round import Reply, Step


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

    def step(self, state: Packet) -> PaddedMean:
        """Average by rank, pad, and average the ranks."""
        return PaddedMean(state)


class PaddedMean(Step):
    """A step that averages pairs of any rank, in memory that the ranks bound.

    Args:
        state: The wide pair before the round.
    """

    def __init__(self, state: Packet) -> None:
        self._state = state
        self._means = {layer: PairMean() for layer in state.layers}

    def fold(self, replies: Sequence[Reply]) -> None:
        """Average the replies into the mean."""
        ratios = [reply.packet.scale / self._state.scale for reply in replies]
        weights = [reply.weight for reply in replies]
        for layer, mean in self._means.items():
            pairs = [reply.packet.layers[layer] for reply in replies]
            mean.add(pairs, ratios, weights)

    def result(self) -> Packet:
        """Return the mean of the padded pairs."""
        layers = {
            layer: mean.value(self._state.layers[layer])
            for layer, mean in self._means.items()
        }
        return Packet(layers, self._state.scale)
