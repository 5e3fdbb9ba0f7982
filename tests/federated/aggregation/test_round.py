import math

import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated.aggregation import AGGREGATION, Packet
from cotune.federated.aggregation._round import BLOCK


def packet(value: float) -> Packet:
    return Packet({"q": {"B": torch.full((2, 1), value)}}, 2.0)


def opened(clients):
    return AGGREGATION["fed-alora"]().open(packet(0.0), clients)


@pytest.mark.parametrize("weight", [-9, 0, math.nan, math.inf])
def test_a_weight_out_of_range_is_refused(weight):
    with pytest.raises(ConfigError, match="weight of client 'a'"):
        opened(["a"]).add("a", packet(1.0), weight)


def test_a_huge_weight_is_the_callers_to_bound():
    round_ = opened(["a", "b"])
    round_.add("a", packet(1.0), 1e12)
    round_.add("b", packet(5.0), 1.0)
    assert torch.allclose(round_.finish().layers["q"]["B"], torch.ones(2, 1), atol=1e-6)


@pytest.mark.parametrize("method", ["add", "skip"])
def test_a_client_that_was_not_asked_or_that_has_replied_is_refused(method):
    round_ = opened(["a", "b"])
    round_.add("a", packet(1.0), 1.0)
    for client in ("a", "stranger"):
        with pytest.raises(ConfigError, match=f"client '{client}'"):
            if method == "add":
                round_.add(client, packet(9.0), 1.0)
            else:
                round_.skip(client)
    assert round_.finish().layers["q"]["B"].tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("clients", [[], ["a", "a"]])
def test_a_round_needs_distinct_clients(clients):
    with pytest.raises(ConfigError, match="distinct"):
        opened(clients)


def test_a_round_without_replies_has_no_result():
    round_ = opened(["a"])
    round_.skip("a")
    with pytest.raises(ConfigError, match="Keep the old state"):
        round_.finish()


def test_a_finished_round_takes_no_more():
    round_ = opened(["a", "b"])
    round_.add("a", packet(1.0), 1.0)
    round_.finish()
    with pytest.raises(ConfigError, match="client 'b'"):
        round_.add("b", packet(1.0), 1.0)


def test_weights_are_shares_of_those_that_replied():
    round_ = opened(["a", "b", "c"])
    round_.add("c", packet(5.0), 3)
    round_.skip("b")
    round_.add("a", packet(1.0), 1)
    assert round_.finish().layers["q"]["B"].tolist() == [[4.0], [4.0]]
    assert round_.replied == 2


def test_replies_in_sorted_order_never_fill_the_memory():
    clients = [f"{k:03}" for k in range(200)]
    round_ = opened(reversed(clients))
    for k, client in enumerate(clients):
        round_.add(client, packet(float(k)), 1.0)
        assert round_.held < BLOCK
    assert round_.finish().layers["q"]["B"][0].item() == 99.5


def test_a_reply_waits_until_those_before_it_came_or_were_skipped():
    clients = [f"{k:03}" for k in range(BLOCK + 2)]
    round_ = opened(clients)
    for client in clients[2:]:
        round_.add(client, packet(1.0), 1.0)
    assert round_.held == BLOCK
    round_.skip(clients[0])
    assert round_.held == BLOCK
    round_.add(clients[1], packet(1.0), 1.0)
    assert round_.held == 1
