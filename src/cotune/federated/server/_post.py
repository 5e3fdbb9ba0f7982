"""Writes the orders of a round: who gets which packets, and how many bytes that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._plan import Client, Plan
from .._wire import Order, Todo, write_arrays, write_order
from ..aggregation import Packet, Seat
from ._history import History
from ._ledger import Ledger

if TYPE_CHECKING:
    from flwr.app import ArrayRecord, RecordDict


class Post:
    """Makes payloads, once for all clients that get the same.

    Args:
        plan: Seats of the clients.
        ledger: What the server knows; read for every order.
        history: Packets that clients may have missed.
    """

    def __init__(self, plan: Plan, ledger: Ledger, history: History) -> None:
        self._plan = plan
        self._method = plan.method
        self._ledger = ledger
        self._history = history
        self._round = 0
        self._todo: Todo = "train"
        self._score = False
        self._states: dict[int, dict[int, Packet]] = {}
        self._packets: dict[tuple[int, Seat], Packet] = {}
        self._records: dict[int, ArrayRecord] = {}

    def open(self, round: int, todo: Todo, *, score: bool) -> None:
        """Begin a round of orders.

        Args:
            round: Its number.
            todo: What clients are to do.
            score: Whether they are to score.
        """
        self._round, self._todo, self._score = round, todo, score
        self._states.clear()
        self._packets.clear()
        self._records.clear()

    def write(self, name: str) -> RecordDict:
        """Write the order for one client."""
        client = self._plan.find(name)
        order = Order(
            experiment=self._ledger.experiment,
            digest=self._plan.digest,
            client=name,
            round=self._round,
            base=self._base(name),
            todo=self._todo,
            score=self._score,
            states=self._payload(client),
        )
        return write_order(order, self._write_once)

    def newest(self, client: Client) -> Packet:
        """Return the newest packet that a client was given in this round."""
        payload = self._payload(client)
        return payload[max(payload)]

    def bytes_down(self, name: str) -> int:
        """Count the bytes of all tensors sent to a client in this round."""
        payload = self._payload(self._plan.find(name))
        return sum(packet.nbytes for packet in payload.values())

    def _base(self, name: str) -> int:
        return self._ledger.base.get(name, 0)

    def _payload(self, client: Client) -> dict[int, Packet]:
        base = self._base(client.name)
        if base not in self._states:
            self._states[base] = self._history.since(base)
        states = self._states[base]
        return {v: self._cut(v, states[v], self._plan.seat(client)) for v in states}

    def _cut(self, version: int, state: Packet, seat: Seat) -> Packet:
        if (version, seat) not in self._packets:
            self._packets[version, seat] = self._method.download(state, seat)
        return self._packets[version, seat]

    def _write_once(self, packet: Packet) -> ArrayRecord:
        if id(packet) not in self._records:
            self._records[id(packet)] = write_arrays(packet)
        return self._records[id(packet)]
