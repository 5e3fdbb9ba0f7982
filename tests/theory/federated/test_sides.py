from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cotune.theory.federated._clients import Clients, draw_clients
from cotune.theory.federated._sides import _average, train_federated


def _train(clients: Clients, shared: str, rounds: int = 2) -> tuple[Tensor, Tensor]:
    return train_federated(
        clients,
        shared,
        rounds=rounds,
        local_steps=5,
        learning_rate=5e-3,
        rank=8,
        scale=2.0,
    )


@pytest.mark.parametrize("shared", ["A", "B", "AB"])
def test_one_client_alone_trains_as_if_nothing_were_shared(shared: str) -> None:
    clients = draw_clients("column", seeds=2, clients=1)
    for one, other in zip(_train(clients, shared), _train(clients, ""), strict=True):
        assert torch.equal(one, other)


def test_without_sharing_averaging_changes_nothing() -> None:
    trained, averaged = _train(draw_clients("row", seeds=1), "")
    assert torch.equal(trained, averaged)


def test_sharing_changes_the_error_after_the_average() -> None:
    trained, averaged = _train(draw_clients("row", seeds=1), "B")
    assert not torch.equal(trained, averaged)
    assert trained.shape == averaged.shape == (1, 8)


def test_before_the_first_round_the_update_is_zero() -> None:
    trained, averaged = _train(draw_clients("row", seeds=2), "A", rounds=0)
    assert bool((trained == 1).all()) and bool((averaged == 1).all())


def test_the_average_is_taken_over_the_clients() -> None:
    factor = torch.tensor([[[[1.0]], [[3.0]]], [[[2.0]], [[6.0]]]])
    assert _average(factor).flatten().tolist() == [2, 2, 4, 4]
