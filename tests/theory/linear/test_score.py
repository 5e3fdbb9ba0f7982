from __future__ import annotations

import math

import torch

from cotune.theory.linear._score import (
    count_successes,
    median,
    relative_error,
    success_rate,
)


def test_the_error_is_taken_over_all_users_together() -> None:
    truth = torch.tensor([[[[3.0]], [[4.0]]]])
    update = torch.tensor([[[[3.0]], [[3.0]]]])
    torch.testing.assert_close(relative_error(update, truth), torch.tensor([0.2]))


def test_one_matrix_may_stand_for_all_users() -> None:
    truth = torch.ones(2, 3, 4, 4)
    assert relative_error(torch.zeros(2, 1, 4, 4), truth).tolist() == [1, 1]


def test_a_diverged_fit_is_infinitely_wrong() -> None:
    error = relative_error(torch.full((1, 1, 1, 1), math.nan), torch.ones(1, 1, 1, 1))
    assert error.tolist() == [math.inf]
    assert success_rate(error) == 0


def test_medians_and_rates_count_the_seeds() -> None:
    errors = torch.tensor([1e-9, 1e-7, 1e-6, 1.0])
    assert count_successes(errors) == 2
    assert success_rate(errors) == 0.5
    assert math.isclose(median(torch.tensor([1.0, 2.0, 4.0, 100.0])), 3.0)
