"""Which client lives at which node: nodes are asked, and strangers are left out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..._errors import ConfigError
from .._plan import Plan
from ._collect import PAUSE, collect, send
from ._events import Events

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.serverapp import Grid

ANSWER_WITHIN = 300.0
"""Seconds that a new node has to say who lives there."""


class Roster:
    """The connected clients.

    Args:
        grid: Flower's side of the server.
        plan: Says which clients there are.
        events: Is told who comes, and who is refused.
    """

    def __init__(self, grid: Grid, plan: Plan, events: Events) -> None:
        self._grid = grid
        self._plan = plan
        self._events = events
        self._names = {client.name for client in plan.clients}
        self._nodes: dict[int, str | None] = {}
        self._silent: set[int] = set()

    def connected(self) -> dict[str, int]:
        """Return client -> node of those connected now; new nodes are asked first."""
        there = set(self._grid.get_node_ids())
        self._nodes = {n: name for n, name in self._nodes.items() if n in there}
        fresh = {str(node): node for node in sorted(there - self._nodes.keys())}
        self._ask(fresh)
        return {name: node for node, name in sorted(self._nodes.items()) if name}

    def wait_for(self, count: int, seconds: float) -> dict[str, int]:
        """Wait until so many training clients are connected.

        Args:
            count: How many.
            seconds: For how long.

        Returns:
            As :meth:`connected`.

        Raises:
            ConfigError: Too few came in time.
        """
        trainers = {client.name for client in self._plan.trainers}
        end = time.monotonic() + seconds
        while True:
            found = self.connected()
            if len(trainers & found.keys()) >= count:
                return found
            if time.monotonic() > end:
                missing = ", ".join(sorted(trainers - found.keys())[:5])
                raise ConfigError(
                    f"federated: {count} training clients must be connected within "
                    f"{seconds:g} s, got {len(trainers & found.keys())}; missing: "
                    f"{missing}. Start them, or lower min_clients."
                )
            time.sleep(10 * PAUSE)

    def _ask(self, nodes: dict[str, int]) -> None:
        from flwr.app import RecordDict

        if not nodes:
            return
        ids = send(self._grid, nodes, "query", lambda _: RecordDict())
        for key, message in collect(self._grid, ids, ANSWER_WITHIN):
            self._enter(nodes[key], message)

    def _enter(self, node: int, message: Message) -> None:
        if not message.has_content():
            # Perhaps its process died; it is asked again, and noted once.
            if node not in self._silent:
                self._silent.add(node)
                code = message.error.code
                self._events.say("silent", node=str(node), code=code)
            return
        name, reason = self._read(node, message)
        self._nodes[node] = None if reason else name
        if reason:
            self._events.say("refused", node=str(node), reason=reason)
        else:
            self._events.say("connected", client=name)

    def _read(self, node: int, message: Message) -> tuple[str, str | None]:
        """Return the client's name, and why it is refused."""
        words = dict(message.content.config_records.get("reply") or {})
        name = str(words.get("client", ""))
        if name not in self._names:
            return "", "no client of the recipe lives there"
        if (self._plan.spec.nodes or {}).get(name, node) != node:
            return name, f"{name} lives at another node"
        if words.get("recipe") != self._plan.digest:
            return name, f"{name} has another recipe"
        if name in self._nodes.values():
            return name, f"another node is {name} already"
        return name, None
