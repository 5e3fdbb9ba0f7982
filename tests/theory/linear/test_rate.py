from __future__ import annotations

import torch

from cotune.theory.linear._problem import draw_problems
from cotune.theory.linear._rate import _fit_line, _perturb


def test_a_geometric_sequence_gives_back_its_factor() -> None:
    rounds = torch.arange(30, dtype=torch.float64)
    errors = torch.stack([0.5**rounds, 3 * 0.8**rounds])
    rate, r2 = _fit_line(errors)
    torch.testing.assert_close(rate, rate.new_tensor([0.5, 0.8]))
    torch.testing.assert_close(r2, torch.ones_like(r2))


def test_rounds_at_the_floor_are_left_out() -> None:
    rounds = torch.arange(60, dtype=torch.float64)
    errors = (0.5**rounds).clamp(min=1e-15)[None]
    errors[:, 45:] = 1e-10
    torch.testing.assert_close(_fit_line(errors)[0], errors.new_tensor([0.5]))


def test_the_first_rounds_are_left_out() -> None:
    errors = (0.5 ** torch.arange(20, dtype=torch.float64))[None]
    errors[:, :2] = 7.0
    torch.testing.assert_close(_fit_line(errors)[0], errors.new_tensor([0.5]))


def test_the_start_lies_near_the_truth() -> None:
    truth = draw_problems(users=2, samples=2, seeds=3).model
    A = _perturb(truth, 0.1).A
    lost = truth.A - (truth.A @ A.mT) @ A
    size = torch.linalg.matrix_norm(lost) / torch.linalg.matrix_norm(truth.A)
    assert bool(((size > 0.05) & (size < 0.11)).all())
