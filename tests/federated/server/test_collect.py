"""Replies are taken in sorted order, a few at a time, and late ones are left out."""

from types import SimpleNamespace

from flwr.app import DEFAULT_TTL, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from cotune.federated.aggregation._round import BLOCK
from cotune.federated.server._collect import collect, send


class Grid:
    """Holds messages; answers those that it is told to, from the given pull on."""

    def __init__(self, ready=lambda node, pull: True):
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self.nodes, self.ready = {}, ready
        self.pulls = []

    def push_messages(self, messages):
        messages = list(messages)
        ids = [f"m{message.metadata.dst_node_id}" for message in messages]
        self.nodes |= {
            x: m.metadata.dst_node_id for x, m in zip(ids, messages, strict=True)
        }
        return ids

    def pull_messages(self, ids):
        self.pulls.append(list(ids))
        found = [x for x in ids if self.ready(self.nodes[x], len(self.pulls))]
        for x in found:
            node = self.nodes.pop(x)
            metadata = SimpleNamespace(reply_to_message_id=x)
            yield SimpleNamespace(metadata=metadata, node=node)


def nodes(count):
    return {f"c{number:03d}": number for number in range(count)}


def test_every_client_gets_its_own_message():
    grid = Grid()
    ids = send(grid, nodes(20), "query", lambda name: RecordDict())
    assert list(ids) == sorted(nodes(20))
    assert all(grid.nodes[ids[name]] == node for name, node in nodes(20).items())


def test_only_the_next_few_are_asked_for_and_all_come_in_order():
    grid = Grid()
    ids = send(grid, nodes(30), "train", lambda name: RecordDict())
    names = [name for name, _ in collect(grid, ids, 10)]
    assert names == sorted(nodes(30))
    assert all(len(pull) <= BLOCK for pull in grid.pulls)


def test_one_slow_client_does_not_cost_the_replies_behind_it():
    grid = Grid(lambda node, pull: node != 0)
    ids = send(grid, nodes(12), "train", lambda name: RecordDict())
    names = [name for name, _ in collect(grid, ids, 0.3)]
    assert names == sorted(nodes(12))[1:]


def test_a_client_that_is_slow_but_in_time_is_waited_for():
    grid = Grid(lambda node, pull: node != 1 or pull > 3)
    ids = send(grid, nodes(3), "train", lambda name: RecordDict())
    assert {name for name, _ in collect(grid, ids, 10)} == set(nodes(3))


def test_messages_are_flowers_own():
    seen = []

    class Keep(Grid):
        def push_messages(self, messages):
            seen.extend(messages)
            return super().push_messages(seen)

    send(Keep(), {"ann": 7}, "query", lambda name: RecordDict())
    assert isinstance(seen[0], Message) and seen[0].metadata.message_type == "query"


def test_an_order_lives_longer_than_its_answer_is_waited_for():
    lives = []

    class Keep(Grid):
        def push_messages(self, messages):
            messages = list(messages)
            lives.extend(message.metadata.ttl for message in messages)
            return super().push_messages(messages)

    grid = Keep()
    send(grid, nodes(1), "query", lambda name: RecordDict())
    send(grid, nodes(1), "train", lambda name: RecordDict(), 60.0)
    send(grid, nodes(1), "train", lambda name: RecordDict(), 100_000.0)
    assert lives[:2] == [DEFAULT_TTL] * 2
    assert lives[2] > 100_000.0
