"""From what came over the wire to a reply that may be counted, or why it may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .._plan import Client, Plan
from .._validate import Fault, ReplyCheck
from .._wire import flatten, read_reply, unflatten
from ..aggregation import Packet, Site

if TYPE_CHECKING:
    from flwr.app import Message


@dataclass(frozen=True)
class Accepted:
    """A reply that fits.

    Args:
        packet: The shared factors, in the client's scale.
        weight: n_k.
        numbers: Scores, rows and seconds.
    """

    packet: Packet
    weight: float
    numbers: Mapping[str, float]


class Judge:
    """Looks at replies. Never raises, whatever a client sent.

    Args:
        plan: Bounds of weight and norm, ranks and scales.
        sites: Layer -> shape of its base weight.
    """

    def __init__(self, plan: Plan, sites: Mapping[str, Site]) -> None:
        self._plan = plan
        self._sites = sites
        spec = plan.spec
        self._check = ReplyCheck(max_weight=spec.max_weight, max_norm=spec.max_norm)

    def look(
        self, client: Client, message: Message, sent: Packet | None
    ) -> Accepted | str:
        """Look at one reply.

        Args:
            client: Who was asked.
            message: What came.
            sent: What the client was given, from which ``max_norm`` is measured; None
                for an order whose reply has no tensors.

        Returns:
            The reply, or why it is dropped: a code, and one line where there is one.
        """
        if not message.has_content():
            # The text of Flower's error may be the client's; its code is not.
            return f"lost: Flower error {message.error.code}"
        reply = read_reply(message.content)
        if reply.code != "ok":
            return reply.code
        shapes = {} if sent is None else self.shapes(client)
        before = None if sent is None else self._before(sent, shapes)
        found = self._check.read(reply.raw, reply.examples, shapes, before)
        if isinstance(found, Fault):
            return str(found)
        layers = unflatten(found, list(self._sites))
        # The server's own idea of the scale: a client cannot claim another one.
        packet = Packet(layers, self._plan.seat(client).scale)
        return Accepted(packet, float(reply.examples), reply.numbers)

    def shapes(self, client: Client) -> dict[str, tuple[int, ...]]:
        """Return ``layer/role`` -> shape of what a client sends."""
        method = self._plan.method
        return {
            f"{layer}/{role}": shape
            for layer, site in self._sites.items()
            for role, shape in method.up_shapes(site, client.rank).items()
        }

    def _before(
        self, sent: Packet, shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Tensor]:
        given = flatten(sent)
        return {
            name: given[name]
            for name, shape in shapes.items()
            if name in given and given[name].shape == shape
        }
