"""The interface of the family: ownership, shapes, the client's part, the server's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from ..._errors import ConfigError
from ._packet import Cohort, Packet, Received, Seat, Shapes, Site, Tensors
from ._round import Round, Step

Exact = Literal["product", "sum", "truncated", "personal", "no", "local"]
"""What one server step gets exactly right.

- product: every client then has the mean update, sum_k p_k s_k B_k A_k.
- sum: the shared part is the exact weighted sum of what the clients trained.
- truncated: the server holds the mean update, a client its best copy of rank r_k.
- personal: the shared factors are the exact means; each client keeps a part of its own,
  so there is no one update to be exact for.
- no: means of factors; cross terms p_i p_j B_i A_j remain.
- local: nothing is shared.
"""


class Aggregator(ABC):
    """Which factor is shared, private or frozen, and what server and client do with it.

    The server's state is a :class:`Packet`, so it can be saved as it is. One round::

        state = method.start(first)             # server, once
        got = method.download(state, seat)      # server, per client
        todo = method.receive(got, seat)        # client: load, fold, restart, train
        sent = method.upload(own)               # client: exactly the shared part
        step = method.open(state, clients)      # server
        step.add(client, sent, weight)          # server, in any order
        state = step.finish()                   # server

    Attributes:
        shared: Roles that a client trains and gives away, as they are or as a product;
            ``sent`` has the roles on the wire.
        private: Roles that never leave the client and persist over rounds.
        frozen: Roles that no client trains.
        restart: Roles that a client draws afresh, as at its start, after ``receive``.
        exact: What one step gets exactly right, see :data:`Exact`.
        linear: The step is a weighted mean of equal shapes in what clients send. So
            clipping and noise apply, and memory does not grow with the clients.
        equal_uploads: Every client sends the same shapes whatever its rank. Secure
            aggregation needs this and ``linear``.
        equal_ranks: All clients must have one rank and one scale.
        replaces: The last payload is all that a client needs. False: each payload adds
            to the client's frozen part, so it must get each one, in order, once.
    """

    shared: ClassVar[tuple[str, ...]]
    private: ClassVar[tuple[str, ...]] = ()
    frozen: ClassVar[tuple[str, ...]] = ()
    restart: ClassVar[tuple[str, ...]] = ()
    exact: ClassVar[Exact]
    equal_ranks: ClassVar[bool]
    replaces: ClassVar[bool] = True
    linear: bool
    equal_uploads: bool

    @property
    def sent(self) -> tuple[str, ...]:
        """Return the roles of an upload: the shared ones, as they are."""
        return self.shared

    @abstractmethod
    def up_shapes(self, site: Site, rank: int) -> Shapes:
        """Return role -> shape of what a client of this rank sends for one layer."""

    @abstractmethod
    def down_shapes(self, site: Site, rank: int, cohort: Cohort) -> Shapes:
        """Return role -> shape of what a client of this rank gets for one layer."""

    def upload(self, own: Packet) -> Packet:
        """Make what leaves the client: the shared factors and nothing else.

        Args:
            own: All factors of the client, by role, with its scale s_k.

        Returns:
            A packet whose tensors are those of ``own``, not copies.

        Raises:
            ConfigError: ``own`` lacks a shared role.
        """
        return own.pick(self.sent)

    @abstractmethod
    def receive(self, got: Packet, seat: Seat) -> Received:
        """Turn a payload into what the client loads and folds. Pure.

        Args:
            got: What ``download`` made for this client.
            seat: Rank and scale of this client.
        """

    @abstractmethod
    def start(self, first: Packet) -> Packet:
        """Return the server's state before the first round.

        Args:
            first: The factors of a fresh adapter at the largest rank of the federation,
                from the seed that all clients share. Tensors are shared, not copied.
        """

    def download(self, state: Packet, seat: Seat) -> Packet:
        """Make what is sent down to one client. Tensors may be those of ``state``."""
        del seat
        return state

    @abstractmethod
    def step(self, state: Packet) -> Step:
        """Start the method's sum for one round."""

    @abstractmethod
    def expected(self, state: Tensors, sent: Tensors) -> Shapes:
        """Return the shapes that ``sent`` must have, given one layer of the state.

        Called with all roles of ``sent`` there; may read the rank from it.
        """

    def open(self, state: Packet, clients: Iterable[str]) -> Round:
        """Start one round on the server; ``state`` is not modified.

        Args:
            state: What ``start`` or the last ``finish`` returned.
            clients: Ids of all clients asked.

        Raises:
            ConfigError: ``clients`` is empty or holds an id twice.
        """

        def check(client: str, packet: Packet) -> None:
            self.check(state, client, packet)

        return Round(self.step(state), check, clients)

    def check(self, state: Packet, client: str, packet: Packet) -> None:
        """Refuse a reply whose layers, roles, shapes or scale do not fit the state.

        Raises:
            ConfigError: Names the client, the layer and the role.
        """
        self._check_scale(state, client, packet)
        if set(packet.layers) != set(state.layers):
            odd = sorted(set(packet.layers) ^ set(state.layers))
            raise ConfigError(
                f"add: client {client!r} must send the layers of the server, got too "
                f"many or too few: {', '.join(odd[:3])}. Drop the reply."
            )
        for layer, tensors in packet.layers.items():
            where = f"add: client {client!r}, layer {layer!r}"
            if set(tensors) != set(self.sent):
                raise ConfigError(
                    f"{where}: roles must be {', '.join(self.sent) or 'none'}, "
                    f"got {', '.join(tensors) or 'none'}. Drop the reply."
                )
            flat = [role for role, x in tensors.items() if x.ndim != 2]
            if flat:
                raise ConfigError(
                    f"{where}: {flat[0]} must be a matrix, got shape "
                    f"{tuple(tensors[flat[0]].shape)}. Drop the reply."
                )
            shapes = self.expected(state.layers[layer], tensors)
            for role, shape in shapes.items():
                if tuple(tensors[role].shape) != shape:
                    raise ConfigError(
                        f"{where}: {role} must have shape {shape}, got "
                        f"{tuple(tensors[role].shape)}. {self._advice()}"
                    )

    def _check_scale(self, state: Packet, client: str, packet: Packet) -> None:
        fits = packet.scale == state.scale if self.equal_ranks else packet.scale > 0
        if not fits:
            wanted = f"{state.scale}" if self.equal_ranks else "above 0"
            raise ConfigError(
                f"add: client {client!r}: scale must be {wanted}, got {packet.scale}. "
                f"{self._advice()}"
            )

    def _advice(self) -> str:
        if self.equal_ranks:
            return "For clients of different ranks see fed-alora-any or flexlora."
        return "Drop the reply."


def aggregate(
    method: Aggregator,
    state: Packet,
    replies: Mapping[str, tuple[Packet, float]],
) -> Packet:
    """Do one server step on replies that are all there.

    Args:
        method: Whose step.
        state: The server's state before the round; not modified.
        replies: Client id -> (packet, weight n_k). The order does not matter.

    Returns:
        The new state, on the device and in the dtype of the old one.

    Raises:
        ConfigError: A reply does not fit, or there is none.

    Example:
        >>> import torch
        >>> from cotune.federated.aggregation import AGGREGATION
        >>> def packet(x):
        ...     return Packet({"q": {"B": torch.full((2, 1), x)}}, scale=2.0)
        >>> replies = {"ann": (packet(1.0), 1), "bob": (packet(5.0), 3)}
        >>> state = aggregate(AGGREGATION["fed-alora"](), packet(0.0), replies)
        >>> state.layers["q"]["B"].flatten().tolist()
        [4.0, 4.0]
    """
    opened = method.open(state, replies)
    for client in sorted(replies):
        opened.add(client, *replies[client])
    return opened.finish()
