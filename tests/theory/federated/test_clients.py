from __future__ import annotations

import pytest
import torch

from cotune._errors import ConfigError
from cotune.theory.federated._clients import draw_clients, draw_kaiming


@pytest.mark.parametrize(("space", "axis"), [("column", 1), ("row", 0)])
def test_clients_share_one_space_and_not_the_other(space: str, axis: int) -> None:
    W = draw_clients(space, seeds=1).W[0]
    assert bool((torch.linalg.matrix_rank(W) == 4).all())
    side_by_side = torch.cat(list(W), dim=axis)
    other = torch.cat(list(W), dim=1 - axis)
    assert int(torch.linalg.matrix_rank(side_by_side)) == 4
    assert int(torch.linalg.matrix_rank(other)) == 32


def test_responses_have_unit_variance_plus_noise() -> None:
    clients = draw_clients("column", seeds=2, samples=500)
    norm = clients.W.square().sum((2, 3))
    torch.testing.assert_close(norm, torch.full_like(norm, 32.0))
    noise = clients.Y - clients.W @ clients.X
    assert float(noise.std()) == pytest.approx(0.3, rel=0.02)


def test_the_test_error_is_that_of_fresh_points() -> None:
    clients = draw_clients("row", seeds=1, clients=2)
    update = 0.7 * clients.W
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 20_000, generator=generator, dtype=torch.float64)
    gap = ((update - clients.W) @ x).square().sum((2, 3))
    fresh = gap / (clients.W @ x).square().sum((2, 3))
    torch.testing.assert_close(clients.test_error(update), fresh)
    assert clients.test_error(update)[0, 0].item() == pytest.approx(0.09)


def test_the_loss_is_a_sum_of_client_means() -> None:
    clients = draw_clients("row", seeds=2, clients=3)
    zero = torch.zeros_like(clients.W)
    expected = clients.Y.square().mean(dim=(2, 3)).sum()
    torch.testing.assert_close(clients.loss(zero), expected)


def test_a_draw_depends_on_its_number_alone() -> None:
    few, many = draw_clients("row", seeds=1), draw_clients("row", seeds=2)
    assert torch.equal(few.Y[0], many.Y[0])


def test_kaiming_numbers_stay_in_their_bound() -> None:
    drawn = draw_kaiming((1000,), 4, torch.Generator().manual_seed(0))
    assert 0.49 < float(drawn.abs().max()) <= 0.5


def test_a_wrong_space_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean column"):
        draw_clients("columns")
