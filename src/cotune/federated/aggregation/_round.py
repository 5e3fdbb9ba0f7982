"""One round on the server: replies in, in any order; the same bits out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..._errors import ConfigError
from ._packet import Packet

BLOCK = 8
"""Replies that are summed in one pass; the only buffer when they come in order."""


class Reply(NamedTuple):
    """One client's packet and its weight n_k, not yet normalised."""

    client: str
    packet: Packet
    weight: float


class Step(ABC):
    """What a method does with the replies of one round."""

    @abstractmethod
    def fold(self, replies: Sequence[Reply]) -> None:
        """Take in some replies, sorted by client."""

    @abstractmethod
    def result(self) -> Packet:
        """Return the new state of the server."""


class Keep(Step):
    """A step that keeps every reply: for methods that are no sum of equal shapes.

    Memory grows with the number of clients of the round.

    Args:
        function: Pure function from all replies, sorted by client, to the new state.
    """

    def __init__(self, function: Callable[[Sequence[Reply]], Packet]) -> None:
        self._function = function
        self._replies: list[Reply] = []

    def fold(self, replies: Sequence[Reply]) -> None:
        """Keep the replies."""
        self._replies += replies

    def result(self) -> Packet:
        """Apply the function to all of them."""
        return self._function(self._replies)


def shares(replies: Sequence[Reply]) -> list[float]:
    """Return p_k = n_k / sum n over the clients that replied, in their order."""
    total = math.fsum(reply.weight for reply in replies)
    return [reply.weight / total for reply in replies]


class Round:
    """Collects the replies of one round; the result does not depend on their order.

    A floating-point sum depends on the order of its terms. So replies are taken in by
    sorted client id, in blocks of ``BLOCK``: one that comes early waits until every
    client before it has replied or was skipped. Memory for a linear method: one float64
    sum, at most ``BLOCK`` ready replies, and those that wait: none if replies are added
    in sorted order (pull them in that order to keep it so), all but one at worst.

    Args:
        step: What the method does with the replies.
        check: Called as ``check(client, packet)``; raises if the packet does not fit.
        clients: Ids of all clients asked in this round.

    Raises:
        ConfigError: ``clients`` is empty or holds an id twice.
    """

    def __init__(
        self,
        step: Step,
        check: Callable[[str, Packet], None],
        clients: Iterable[str],
    ) -> None:
        self._step = step
        self._check = check
        self._order = sorted(clients)
        self._open = dict.fromkeys(self._order)
        if not self._order or len(self._open) < len(self._order):
            raise ConfigError(
                f"Round: clients must be distinct and at least one, got {self._order}."
            )
        self._position = 0
        self._waiting: dict[str, Reply] = {}
        self._ready: list[Reply] = []
        self._replied = 0

    @property
    def replied(self) -> int:
        """Return how many replies were added."""
        return self._replied

    @property
    def held(self) -> int:
        """Return how many replies wait in memory for their turn or for their block."""
        return len(self._waiting) + len(self._ready)

    def add(self, client: str, packet: Packet, weight: float) -> None:
        """Take in one reply.

        Args:
            client: The id of the sender, one of ``clients``.
            packet: What ``Aggregator.upload`` made, with finite entries (not looked at
                here). Kept until it is summed, not copied.
            weight: n_k, usually its number of examples; finite and above 0.

        Raises:
            ConfigError: The client was not asked or has already replied, the weight is
                out of range, or the packet does not fit. The round is unchanged.
        """
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(
                f"add: weight of client {client!r} must be finite and above 0, "
                f"got {weight!r}. Drop the reply with `skip`."
            )
        self._require_open(client)
        self._check(client, packet)
        del self._open[client]
        self._waiting[client] = Reply(client, packet, weight)
        self._replied += 1
        self._release()

    def skip(self, client: str) -> None:
        """Say that no valid reply of this client will come, so none waits for it.

        Raises:
            ConfigError: The client was not asked or has already replied.
        """
        self._require_open(client)
        del self._open[client]
        self._release()

    def finish(self) -> Packet:
        """Sum what is left and return the new state of the server.

        Clients that have not replied by now are left out; weights are shares of those
        that did. The round takes no more replies.

        Raises:
            ConfigError: No client replied. Keep the old state and start another round.
        """
        if not self._replied:
            raise ConfigError(
                "finish: at least one client must have replied, got none. "
                "Keep the old state and start another round."
            )
        self._open.clear()
        self._release()
        if self._ready:
            self._step.fold(self._ready)
            self._ready = []
        return self._step.result()

    def _require_open(self, client: str) -> None:
        if client not in self._open:
            raise ConfigError(
                f"Round: client {client!r} must be one that was asked and is still "
                f"open, got a stranger, a second reply or a late one. Drop the reply."
            )

    def _release(self) -> None:
        while self._position < len(self._order):
            client = self._order[self._position]
            if client in self._open:
                return
            self._position += 1
            if client in self._waiting:
                self._ready.append(self._waiting.pop(client))
            if len(self._ready) == BLOCK:
                self._step.fold(self._ready)
                self._ready = []
