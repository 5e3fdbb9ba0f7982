"""Who is let in: clients of the recipe with the same recipe, one node each."""

from dataclasses import replace

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from cotune import CoTuneConfig
from cotune._errors import ConfigError
from cotune.data import EncodeSpec
from cotune.federated import Client, FederatedSpec, Plan
from cotune.federated.server._events import Events
from cotune.federated.server._roster import Roster
from cotune.training import BaseSpec, EvaluationSpec, TrainingSpec

PLAN = Plan(
    spec=FederatedSpec(),
    base=BaseSpec(),
    adapter=CoTuneConfig(),
    training=TrainingSpec(),
    evaluation=EvaluationSpec(),
    encode=EncodeSpec(),
    clients=(Client("ann", "ann", 8), Client("bob", "bob", 8)),
    identity={"recipe": 1},
    read_task=lambda client: pytest.fail("the server reads no rows"),
)
SAME = PLAN.digest


class Grid:
    """Nodes that introduce themselves as told: name and recipe, or None for silence."""

    def __init__(self, **nodes):
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self.nodes = dict(enumerate(nodes.values(), 1))
        self.asked = []

    def get_node_ids(self):
        return list(self.nodes)

    def push_messages(self, messages):
        self.waiting = {}
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"m{number}"
            self.waiting[f"m{number}"] = message
            self.asked.append(message.metadata.dst_node_id)
        return list(self.waiting)

    def pull_messages(self, ids):
        return [self.answer(self.waiting.pop(x)) for x in ids if x in self.waiting]

    def answer(self, message):
        said = self.nodes[message.metadata.dst_node_id]
        if said is None:
            return Message(Error(code=3, reason="text"), reply_to=message)
        words = ConfigRecord({"code": "ok", "client": said[0], "recipe": said[1]})
        return Message(RecordDict({"reply": words}), reply_to=message)


def roster(tmp_path, plan=PLAN, **nodes):
    seen = []
    grid = Grid(**nodes)
    events = Events(tmp_path, lambda event, content: seen.append((event, content)))
    return Roster(grid, plan, events), grid, seen


def test_clients_of_the_recipe_are_let_in_and_asked_once(tmp_path):
    found, grid, seen = roster(tmp_path, a=("bob", SAME), b=("ann", SAME))
    assert found.connected() == found.connected() == {"bob": 1, "ann": 2}
    assert grid.asked == [1, 2]
    assert [event for event, _ in seen] == ["connected", "connected"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (("mallory", SAME), "no client of the recipe"),
        (("ann", "another"), "another recipe"),
        (("bob", SAME), "another node is bob already"),
    ],
)
def test_others_are_refused_with_a_reason(said, reason, tmp_path):
    found, grid, seen = roster(tmp_path, a=("bob", SAME), b=said)
    assert found.connected() == {"bob": 1}
    assert found.connected() == {"bob": 1}
    assert grid.asked == [1, 2]
    (refused,) = [content for event, content in seen if event == "refused"]
    assert reason in refused["reason"]


def test_a_name_said_at_another_node_than_its_own_is_refused(tmp_path):
    pinned = replace(PLAN, spec=FederatedSpec(nodes={"ann": 2}))
    said = {"a": ("ann", SAME), "b": ("ann", SAME), "c": ("bob", SAME)}
    found, _, seen = roster(tmp_path, pinned, **said)
    assert found.connected() == {"ann": 2, "bob": 3}
    (refused,) = [content for event, content in seen if event == "refused"]
    assert refused == {"node": "1", "reason": "ann lives at another node"}


def test_a_silent_node_is_asked_again_and_noted_once(tmp_path):
    found, grid, seen = roster(tmp_path, a=None)
    assert found.connected() == found.connected() == {}
    assert grid.asked == [1, 1]
    assert seen == [("silent", {"node": "1", "code": 3})]
    grid.nodes[1] = ("ann", SAME)
    assert found.connected() == {"ann": 1}


def test_a_client_may_come_back_at_another_node(tmp_path):
    found, grid, _ = roster(tmp_path, a=("ann", SAME))
    assert found.connected() == {"ann": 1}
    del grid.nodes[1]
    grid.nodes[7] = ("ann", SAME)
    assert found.connected() == {"ann": 7}


def test_too_few_clients_in_time_end_the_run_with_their_names(tmp_path):
    found, _, _ = roster(tmp_path, a=("ann", SAME))
    with pytest.raises(ConfigError, match=r"got 1; missing: bob. Start them"):
        found.wait_for(2, seconds=0.0)
