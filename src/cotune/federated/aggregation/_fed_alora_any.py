"""Fed-ALoRA for clients of any ranks: a shared accumulator of equal shape for all."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..._errors import ConfigError
from ._aggregator import Aggregator
from ._mean import Mean
from ._packet import Cohort, Layers, Packet, Received, Seat, Shapes, Site, Tensors


class FedALoRAAny(Aggregator):
    """Sum what clients of any rank learnt into one B0: B0 += sum p_k B2_k B1_k.

    Client k computes y = W0 x + s (B0 + B2 B1) M_k A_k x, with A_k (r_k, d_in) and M_k
    (d_m, r_k) its own for good. Each round it draws B1 (r_k, d_m) afresh (Kaiming),
    sets B2 (d_out, r_k) = 0, and trains A, M, B1 and B2. Its update has rank at most
    min(r_k, d_m). All clients have one scale s (alpha_k = 2 r_k gives s = 2).

    Args:
        send_factors: False (product form) sends dB = B2 B1, one shape for all ranks and
            a linear sum, so clipping, noise and secure aggregation apply. True (factor
            form) sends B1 and B2, which is less where r_k (d_m + d_out) < d_m d_out;
            the server multiplies them. It still streams, but is no longer linear in
            what is sent.
        width: d_m, the width that all clients share, at least 1.

    Raises:
        ConfigError: A width below 1.

    Source: arXiv:2509.25414, Fed-ALoRA, heterogeneous ranks. Differs: A_k and M_k
    persist over rounds (the released code draws A, M, B1, B2 anew each round, so the
    accumulator meets a new basis every time); the product may be sent.
    """

    shared = ("B1", "B2")
    private = ("A", "M")
    frozen = ("B0",)
    restart = ("B1", "B2")
    exact = "sum"
    equal_ranks = False

    def __init__(self, *, send_factors: bool = False, width: int = 16) -> None:
        if width < 1:
            raise ConfigError(f"fed-alora-any: width must be at least 1, got {width}.")
        self.send_factors = send_factors
        self.width = width
        self.linear = not send_factors
        self.equal_uploads = not send_factors

    @property
    def sent(self) -> tuple[str, ...]:
        """Return the role of the product, or those of the factors."""
        return ("B1", "B2") if self.send_factors else ("dB",)

    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return dB (d_out, d_m), or B1 (r_k, d_m) and B2 (d_out, r_k)."""
        if self.send_factors:
            return {"B1": (rank, self.width), "B2": (site.d_out, rank)}
        return {"dB": (site.d_out, self.width)}

    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return B0 (d_out, d_m), whatever the rank."""
        del rank, cohort
        return {"B0": (site.d_out, self.width)}

    def upload(self, own: Packet) -> Packet:
        """Send B2 B1, multiplied out per layer, or the two factors."""
        factors = own.pick(self.shared)
        return factors if self.send_factors else _multiply(factors)

    def receive(self, got: Packet, seat: Seat) -> Received:
        """Load B0; the client then restarts B1 and B2."""
        del seat
        return Received(got.layers)

    def start(self, first: Packet) -> Packet:
        """Take B0 of the start, zero in a fresh adapter."""
        state = first.pick(self.frozen)
        for layer, tensors in state.layers.items():
            if tensors["B0"].shape[1] != self.width:
                raise ConfigError(
                    f"fed-alora-any: B0 of layer {layer!r} must have {self.width} "
                    f"columns, got {tensors['B0'].shape[1]}. Set `width` to that."
                )
        return state

    def step(self, state: Packet) -> Mean:
        """Average the products and add the mean to B0."""
        before = _multiply if self.send_factors else None
        return Mean(state, before, partial(_add, state.layers))

    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes for the width of the state and the rank that was sent."""
        d_out, width = state["B0"].shape
        if not self.send_factors:
            return {"dB": (d_out, width)}
        rank = sent["B1"].shape[0]
        return {"B1": (rank, width), "B2": (d_out, rank)}

    def _check_scale(self, state: Packet, client: str, packet: Packet) -> None:
        # Ranks differ, the scale must not: B0 is one tensor, in one unit.
        if packet.scale != state.scale:
            raise ConfigError(
                f"add: client {client!r}: scale must be {state.scale}, got "
                f"{packet.scale}. Set lora_alpha to scale x rank on every client."
            )


def product(own: Tensors) -> Tensor:
    """Return dB = B2 B1, shape (d_out, d_m)."""
    return own["B2"] @ own["B1"]


def _multiply(factors: Packet) -> Packet:
    layers = {layer: {"dB": product(own)} for layer, own in factors.layers.items()}
    return Packet(layers, factors.scale)


def _add(state: Layers, mean: Layers) -> Layers:
    return {
        layer: {"B0": tensors["B0"] + mean[layer]["dB"]}
        for layer, tensors in state.items()
    }
