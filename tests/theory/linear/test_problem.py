from __future__ import annotations

import pytest
import torch

from cotune._errors import ConfigError
from cotune.theory.linear._problem import draw_orthonormal, draw_problems


def test_responses_follow_the_formula_for_every_user() -> None:
    problem = draw_problems(users=3, samples=5, seeds=2, d_out=6, d_in=4, rank=2)
    model = problem.model
    for seed in range(2):
        for user in range(3):
            W = model.B[seed] @ model.S[seed, user] @ model.A[seed]
            expected = W @ problem.X[seed, user]
            torch.testing.assert_close(problem.Y[seed, user], expected)
    assert problem.rank == 2
    assert problem.Y.dtype == torch.float64


def test_shared_factors_are_orthonormal() -> None:
    model = draw_problems(users=1, samples=4, seeds=2).model
    eye = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    torch.testing.assert_close(model.B.mT @ model.B, eye, atol=1e-12, rtol=0)
    torch.testing.assert_close(model.A @ model.A.mT, eye, atol=1e-12, rtol=0)


def test_an_orthonormal_draw_has_mean_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([draw_orthonormal(4, 2, generator) for _ in range(2_000)])
    # An entry has variance 1 / 4: five standard errors are 5 * .5 / sqrt(2000).
    assert float(drawn.mean(0).abs().max()) < 0.056


def test_a_problem_depends_on_its_number_alone() -> None:
    few = draw_problems(users=2, samples=4, seeds=1, noise=0.1)
    many = draw_problems(users=2, samples=4, seeds=3, noise=0.1)
    assert torch.equal(few.Y[0], many.Y[0])
    assert not torch.equal(many.Y[0], many.Y[1])


def test_noise_and_unlikeness_leave_the_other_draws_alone() -> None:
    plain = draw_problems(users=2, samples=400, seeds=1, cores="simil", tau=0.5)
    noisy = draw_problems(
        users=2, samples=400, seeds=1, cores="simil", tau=1.0, noise=0.1
    )
    assert torch.equal(plain.X, noisy.X)
    residual = noisy.Y - noisy.truth @ noisy.X
    # 19,200 entries: the standard deviation is known to about half a percent.
    assert float(residual.std()) == pytest.approx(0.1, rel=0.03)


def test_cores_without_unlikeness_are_the_identity() -> None:
    S = draw_problems(users=3, samples=2, seeds=1, cores="simil", tau=0.0).model.S
    assert torch.equal(S, torch.eye(3, dtype=torch.float64).expand(1, 3, 3, 3))


def test_one_direction_cores_take_turns() -> None:
    S = draw_problems(users=4, samples=2, seeds=1, cores="one-direction").model.S[0]
    assert [core.diagonal().tolist() for core in S] == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 0, 0],
    ]
    assert float(S.sum()) == 4


def test_the_unshared_part_has_rank_one_and_the_stated_size() -> None:
    problem = draw_problems(users=3, samples=2, seeds=1, unshared=0.2)
    shared = problem.model.update()
    extra = problem.truth - shared
    ratio = torch.linalg.matrix_norm(extra) / torch.linalg.matrix_norm(shared)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.2))
    assert bool((torch.linalg.matrix_rank(extra) == 1).all())


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean simil"):
        draw_problems(users=1, samples=1, cores="similar")
    with pytest.raises(ConfigError, match=r"rank must be in \[1, 3\], got 4"):
        draw_problems(users=1, samples=1, d_in=3, rank=4)
