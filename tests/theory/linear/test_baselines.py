from __future__ import annotations

import torch

from cotune.theory.linear._baselines import fit_local, fit_pooled
from cotune.theory.linear._problem import draw_problems
from cotune.theory.linear._score import relative_error


def test_a_user_with_enough_samples_needs_nobody() -> None:
    problem = draw_problems(users=2, samples=30, seeds=2)
    fitted = fit_local(problem)
    assert float(relative_error(fitted, problem.truth).max()) < 1e-12


def test_a_user_with_too_few_samples_fits_them_and_misses_the_truth() -> None:
    problem = draw_problems(users=2, samples=12, seeds=2)
    fitted = fit_local(problem)
    torch.testing.assert_close(fitted @ problem.X, problem.Y)
    # Half of the input directions are unseen: the error is about sqrt(1 / 2).
    error = relative_error(fitted, problem.truth)
    assert bool(((error > 0.5) & (error < 0.9)).all())


def test_a_local_fit_under_noise_has_rank_r() -> None:
    problem = draw_problems(users=2, samples=30, seeds=1, noise=0.1)
    assert bool((torch.linalg.matrix_rank(fit_local(problem)) == 3).all())


def test_equal_users_are_solved_by_one_matrix() -> None:
    problem = draw_problems(users=4, samples=12, seeds=2, cores="simil", tau=0.0)
    fitted = fit_pooled(problem)
    assert fitted.shape == (2, 1, 24, 24)
    assert float(relative_error(fitted, problem.truth).max()) < 1e-12


def test_the_pooled_fit_is_the_best_of_its_rank() -> None:
    problem = draw_problems(users=3, samples=12, seeds=1, noise=0.1)
    fitted = fit_pooled(problem)
    best = (fitted @ problem.X - problem.Y).square().sum()
    assert int(torch.linalg.matrix_rank(fitted[0, 0])) == 3
    generator = torch.Generator().manual_seed(0)
    U, s, Vh = torch.linalg.svd(fitted[0, 0])
    for _ in range(20):
        shake = 1e-3 * torch.randn(24, 3, generator=generator, dtype=torch.float64)
        other = (U[:, :3] + shake) * s[:3] @ Vh[:3]
        assert float((other @ problem.X - problem.Y).square().sum()) > float(best)
