from __future__ import annotations

import torch

from cotune.theory.federated._clients import draw_clients
from cotune.theory.federated._persistence import (
    _draw_private,
    _Plan,
    _rank_mask,
    _train,
    _train_locally,
)

PLAN = _Plan(ranks=(5, 2), middle=3, scale=2.0, local_steps=4, learning_rate=5e-3)


def test_a_client_never_uses_more_than_its_rank() -> None:
    clients = draw_clients("column", seeds=1, clients=2)
    generator = torch.Generator().manual_seed(0)
    private = _draw_private(clients, PLAN, generator)
    start = torch.zeros(1, 1, 32, 3, dtype=torch.float64)
    (A, M), sent = _train_locally(clients, PLAN, start, private, generator)
    on = _rank_mask(PLAN.ranks)
    assert on.squeeze(-1).tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    rank = torch.linalg.matrix_rank
    assert rank(M @ (on * A))[0].tolist() == [3, 2]
    assert rank(sent)[0].tolist() == [3, 2]
    # The padding has no gradient: it stays as it was drawn.
    assert torch.equal(A[0, 1, 2:], private[0][0, 1, 2:])


def test_what_is_sent_has_one_shape_for_all_ranks() -> None:
    clients = draw_clients("column", seeds=2, clients=2)
    generator = torch.Generator().manual_seed(0)
    private = _draw_private(clients, PLAN, generator)
    start = torch.zeros(2, 1, 32, 3, dtype=torch.float64)
    assert _train_locally(clients, PLAN, start, private, generator)[1].shape == (
        2,
        2,
        32,
        3,
    )


def test_the_first_round_starts_from_zero_however_private_factors_are_kept() -> None:
    clients = draw_clients("column", seeds=1, clients=2)
    for keep in (True, False):
        errors = _train(clients, PLAN, rounds=1, keep=keep)
        assert len(errors) == 2
        assert errors[0] == 1
