"""Orders and replies survive the way, and nothing that a client sends can raise."""

import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from cotune._errors import ConfigError
from cotune.federated._wire import (
    Order,
    flatten,
    read_order,
    read_reply,
    unflatten,
    write_order,
    write_refusal,
    write_reply,
)
from cotune.federated.aggregation import Packet

PACKET = Packet({"layers.0.q": {"A": torch.arange(6.0).view(2, 3)}, "v": {}}, 2.0)


def order(**changes):
    base = {
        "experiment": "x",
        "digest": "d",
        "client": "ann",
        "round": 3,
        "base": 1,
        "todo": "train",
        "score": True,
        "states": {2: PACKET, 10: PACKET},
    }
    return Order(**{**base, **changes})


def test_an_order_arrives_as_it_was_with_its_states_in_order():
    found = read_order(write_order(order()))
    assert list(found.states) == [2, 10]
    assert found.states[2].scale == 2.0
    x = found.states[10].layers["layers.0.q"]["A"]
    assert torch.equal(x, PACKET.layers["layers.0.q"]["A"])
    words = ("experiment", "digest", "client", "round", "base", "todo", "score")
    assert all(getattr(found, word) == getattr(order(), word) for word in words)


def test_bfloat16_is_sent_as_float32():
    x = torch.tensor([[1.5]], dtype=torch.bfloat16)
    sent = write_order(order(states={0: Packet({"q": {"B": x}})}))
    assert read_order(sent).states[0].layers["q"]["B"].dtype == torch.float32


@pytest.mark.parametrize("missing", ["order", "state-2"])
def test_what_is_no_order_is_refused(missing):
    content = write_order(order())
    del content[missing]
    if missing == "order":
        with pytest.raises(ConfigError, match="the same version"):
            read_order(content)
    else:
        assert list(read_order(content).states) == [10]


def test_a_reply_arrives_with_its_numbers():
    content = write_reply(PACKET, 12, {"score_after_training": 0.5, "seconds": 1.0})
    found = read_reply(content)
    assert (found.code, found.examples) == ("ok", 12)
    assert found.numbers == {"score_after_training": 0.5, "seconds": 1.0}
    assert set(found.raw) == {"layers.0.q/A"}


def test_a_refusal_holds_a_code_and_nothing_else():
    content = write_refusal("no-state")
    assert read_reply(content).code == "no-state"
    assert list(content) == ["reply"]


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"reply": ConfigRecord({"code": "hello"})}),
        RecordDict({"reply": ConfigRecord({"code": 3})}),
        RecordDict({"reply": MetricRecord({"code": 3})}),
        RecordDict({"reply": ConfigRecord({})}),
    ],
)
def test_what_is_no_reply_counts_as_a_failure(content):
    assert read_reply(content).code == "failed"


def test_odd_numbers_and_arrays_are_left_for_the_check_or_left_out():
    content = RecordDict(
        {
            "reply": ConfigRecord({"code": "ok"}),
            "update": ArrayRecord({"a": Array("x", (1,), "y", b"z")}),
            "numbers": MetricRecord({"seconds": [1.0], "rows": float("nan")}),
        }
    )
    found = read_reply(content)
    assert (found.examples, dict(found.numbers)) == (None, {})
    assert found.raw == {"a": b"z"}


def test_flat_names_lead_back_to_layers_also_without_tensors():
    again = unflatten(flatten(PACKET), list(PACKET.layers))
    assert again.keys() == PACKET.layers.keys()
    assert again["v"] == {}
