"""The local engine: both apps in this process, one client after the other.

The same apps and the same messages as in a simulation, on a grid of forty lines, and no
other process. Good for tests and for debugging; clients do not run at the same time,
and a client that kills its process ends all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid

if TYPE_CHECKING:
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp


class LocalGrid(Grid):
    """Flower's grid over one client app: a message is answered when it is pulled.

    Args:
        app: The client app.
        nodes: How many nodes; node k has ``partition-id`` k.
        tamper: From a reply to what arrives in its place, to test the server; None:
            replies arrive as they are.
    """

    def __init__(
        self,
        app: ClientApp,
        nodes: int,
        tamper: Callable[[Message, Message], Iterable[Message]] | None = None,
    ) -> None:
        self._app = app
        self._contexts = {
            node + 1: Context(
                run_id=1,
                node_id=node + 1,
                node_config={"partition-id": node, "num-partitions": nodes},
                state=RecordDict(),
                run_config={},
            )
            for node in range(nodes)
        }
        self._waiting: dict[str, Message] = {}
        self._tamper = tamper
        self._run: Any = None

    def set_run(self, run: Any) -> None:
        """Keep Flower's idea of the run."""
        self._run = run

    @property
    def run(self) -> Any:
        """Return Flower's idea of the run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of all nodes."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Take messages; nobody works on them yet."""
        ids: list[str] = []
        for message in messages:
            # As Flower's own grids do: there is no public way to set it.
            message.metadata.__dict__["_message_id"] = str(uuid4())
            self._waiting[message.metadata.message_id] = message
            ids.append(message.metadata.message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Let the clients answer now, one after the other."""
        replies: list[Message] = []
        for message_id in message_ids:
            message = self._waiting.pop(message_id, None)
            if message is not None:
                context = self._contexts[message.metadata.dst_node_id]
                reply = self._app(message, context)
                tampered = self._tamper(message, reply) if self._tamper else [reply]
                replies += tampered
        return replies

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push and pull."""
        return self.pull_messages(self.push_messages(messages))


def run_local(
    server: ServerApp,
    client: ClientApp,
    nodes: int,
    tamper: Callable[[Message, Message], Iterable[Message]] | None = None,
) -> None:
    """Run both apps in this process.

    Args:
        server: The server app.
        client: The client app.
        nodes: How many nodes.
        tamper: As in :class:`LocalGrid`.
    """
    from flwr.supercore.task_identity import TaskIdentity

    # Messages take their sender from here; Flower's own simulation sets it likewise.
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    context = Context(
        run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={}
    )
    server(LocalGrid(client, nodes, tamper), context)
