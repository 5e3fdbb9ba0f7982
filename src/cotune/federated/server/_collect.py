"""Send messages and take the replies in sorted order, up to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..aggregation._round import BLOCK

if TYPE_CHECKING:
    from flwr.app import Message, RecordDict
    from flwr.serverapp import Grid

PAUSE = 0.1
"""Seconds between two looks for replies."""

SLACK = 3600.0
"""Seconds that a message lives longer than its answer is waited for: clocks differ."""

TRIES = 4
"""How often an order is sent whose answer Flower lost, e.g. with a worker that died."""


def exchange(
    grid: Grid,
    nodes: Mapping[str, int],
    write: Callable[[str], RecordDict],
    seconds: float,
    on_loss: Callable[[str, int], None],
) -> Iterator[tuple[str, Message]]:
    """Send orders, and yield what comes back; what Flower loses is sent again.

    An order can be carried out twice: what a client keeps of a round it keeps under the
    round's number.

    Args:
        grid: Flower's side of the server.
        nodes: Client -> its node.
        write: From a client to the order.
        seconds: How long to wait in all.
        on_loss: Is told the client and Flower's code of each loss.

    Yields:
        Client and reply, at most once per client; Flower's error after the last try.
    """
    end = time.monotonic() + seconds
    left = dict(nodes)
    for number in range(TRIES):
        lost: dict[str, int] = {}
        ids = send(grid, left, "train", write, end - time.monotonic())
        for client, message in collect(grid, ids, end - time.monotonic()):
            if message.has_content() or number == TRIES - 1:
                yield client, message
            else:
                lost[client] = left[client]
                on_loss(client, message.error.code)
        left = lost
        # Longer each time: who was lost takes seconds to come back.
        pause = 2.0**number
        if not left or time.monotonic() + pause >= end:
            return
        time.sleep(pause)


def send(
    grid: Grid,
    nodes: Mapping[str, int],
    kind: str,
    write: Callable[[str], RecordDict],
    seconds: float = 0.0,
) -> dict[str, str]:
    """Send one message to each client, a few at a time.

    Args:
        grid: Flower's side of the server.
        nodes: Client -> its node.
        kind: Type of the message.
        write: From a client to the content.
        seconds: How long a reply will be waited for.

    Returns:
        Client -> id of the message, sorted; those that could not be sent are missing.
    """
    from flwr.app import DEFAULT_TTL, Message

    # Flower forgets a message after 12 hours, and its answer with it.
    life = max(float(DEFAULT_TTL), seconds + SLACK)
    ids: dict[str, str] = {}
    names = sorted(nodes)
    for start in range(0, len(names), BLOCK):
        block = names[start : start + BLOCK]
        messages = [
            Message(write(name), dst_node_id=nodes[name], message_type=kind, ttl=life)
            for name in block
        ]
        found = list(grid.push_messages(messages))
        if len(found) == len(block):
            ids |= {n: x for n, x in zip(block, found, strict=True) if x}
    return ids


def collect(
    grid: Grid, ids: Mapping[str, str], seconds: float
) -> Iterator[tuple[str, Message]]:
    """Yield replies as they come, nearly in sorted order of the clients.

    Only the next few clients are asked for, and the others wait on Flower's side: so a
    sum in sorted order holds a few replies, not all of them. After the deadline, all
    that is there is taken.

    Args:
        grid: Flower's side of the server.
        ids: Client -> id of the message sent.
        seconds: How long to wait in all.

    Yields:
        Client and reply, once per client. Who does not come is late.
    """
    end = time.monotonic() + seconds
    waiting = dict(sorted(ids.items()))
    while waiting:
        late = time.monotonic() >= end
        block = dict(list(waiting.items())[: None if late else BLOCK])
        senders = {message: client for client, message in block.items()}
        found = 0
        for message in grid.pull_messages(list(block.values())):
            client = senders.get(message.metadata.reply_to_message_id)
            if client is not None and waiting.pop(client, None) is not None:
                found += 1
                yield client, message
        if late:
            return
        if not found:
            time.sleep(PAUSE)
