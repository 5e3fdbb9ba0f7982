from __future__ import annotations

from cotune.theory.linear._gradient import train_jointly
from cotune.theory.linear._problem import draw_problems
from cotune.theory.linear._score import relative_error


def test_two_zero_factors_never_move() -> None:
    problem = draw_problems(users=3, samples=6, seeds=2)
    model = train_jointly(problem, steps=5, learning_rate=0.1, core=0.0)
    assert not bool(model.B.any()) and not bool(model.S.any())
    assert relative_error(model.update(), problem.truth).tolist() == [1, 1]


def test_an_identity_core_lets_the_loss_fall() -> None:
    problem = draw_problems(users=3, samples=6, seeds=2)
    model = train_jointly(problem, steps=200, learning_rate=0.03)
    before = problem.Y.square().sum(dim=(1, 2, 3))
    after = (problem.Y - model.update() @ problem.X).square().sum(dim=(1, 2, 3))
    assert bool((after < 0.1 * before).all())
