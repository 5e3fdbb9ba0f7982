from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from cotune._errors import ConfigError
from cotune.theory.linear import _alternating
from cotune.theory.linear._alternating import (
    _solve_A,
    _solve_B,
    alternate,
    alternations,
    fit_cores,
    relative_residual,
    start_model,
)
from cotune.theory.linear._problem import Model, Problem, draw_problems
from cotune.theory.linear._score import relative_error


def _small(noise: float = 0.1) -> Problem:
    return draw_problems(
        users=4, samples=6, seeds=2, d_out=5, d_in=4, rank=2, noise=noise
    )


def test_cores_are_the_two_pseudo_inverses() -> None:
    problem = _small()
    model = start_model(problem, "random")
    pinv = torch.linalg.pinv
    inner = pinv(model.A[:, None] @ problem.X)
    expected = pinv(model.B)[:, None] @ problem.Y @ inner
    torch.testing.assert_close(model.S, expected)


def test_a_ridge_is_added_to_the_gram_matrix() -> None:
    problem = _small()
    model = start_model(problem, "random")
    Z = model.A[:, None] @ problem.X
    gram = Z @ Z.mT + 0.5 * torch.eye(2, dtype=torch.float64)
    expected = model.B.mT[:, None] @ problem.Y @ Z.mT @ torch.linalg.inv(gram)
    torch.testing.assert_close(fit_cores(problem, model, ridge=0.5).S, expected)


def test_the_step_for_A_solves_the_printed_system() -> None:
    problem = _small()
    model = start_model(problem, "random")
    for seed in range(2):
        system = torch.zeros(8, 8, dtype=torch.float64)
        right = torch.zeros(2, 4, dtype=torch.float64)
        for X, Y, S in zip(
            problem.X[seed], problem.Y[seed], model.S[seed], strict=True
        ):
            BS = model.B[seed] @ S
            system += torch.kron(X @ X.T, BS.T @ BS)
            right += BS.T @ Y @ X.T
        # vec stacks columns: transpose first, as torch flattens by rows.
        vec = torch.linalg.solve(system, right.T.reshape(-1))
        expected = vec.reshape(4, 2).T
        torch.testing.assert_close(_solve_A(problem, model)[seed], expected)


def test_the_step_for_B_solves_the_printed_system() -> None:
    problem = _small()
    model = start_model(problem, "random")
    Z = model.S @ model.A[:, None] @ problem.X
    left, right = (Z @ Z.mT).sum(1), (problem.Y @ Z.mT).sum(1)
    expected = right @ torch.linalg.inv(left)
    torch.testing.assert_close(_solve_B(problem, model), expected)


def test_every_round_lowers_the_residual() -> None:
    problem = _small(noise=0.3)
    model = start_model(problem, "random")
    path = [model, *islice(alternations(problem, model), 12)]
    residuals = torch.stack([relative_residual(problem, step) for step in path])
    assert bool((residuals.diff(dim=0) <= 1e-12).all())


def test_the_truth_stays_the_truth() -> None:
    problem = _small(noise=0.0)
    model = next(alternations(problem, problem.model))
    assert float(relative_error(model.update(), problem.truth).max()) < 1e-12


def test_a_change_of_gauge_changes_nothing() -> None:
    problem = _small(noise=0.0)
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64))[0]
    truth = problem.model
    turned = fit_cores(problem, replace(truth, B=truth.B @ turn, A=turn @ truth.A))
    torch.testing.assert_close(turned.update(), problem.truth)


def test_the_spectral_start_has_the_exact_column_space_without_noise() -> None:
    problem = _small(noise=0.0)
    B = start_model(problem).B
    inside = B @ (B.mT @ problem.model.B)
    torch.testing.assert_close(inside, problem.model.B, atol=1e-10, rtol=0)


def test_the_run_stops_when_all_problems_are_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = draw_problems(users=12, samples=12, seeds=2)
    path: list[Model] = []

    def watch(*args: Any, **kwargs: Any) -> Iterator[Model]:
        for model in alternations(*args, **kwargs):
            path.append(model)
            yield model

    monkeypatch.setattr(_alternating, "alternations", watch)
    fitted = alternate(problem)
    assert float(relative_residual(problem, fitted).max()) < 1e-13
    assert float(relative_error(fitted.update(), problem.truth).max()) < 1e-11
    assert float(relative_residual(problem, path[-2]).max()) >= 1e-13
    assert fitted is path[-1]
    assert len(path) < 200


def test_a_small_ridge_still_recovers_the_truth_roughly() -> None:
    problem = draw_problems(users=12, samples=12, seeds=2)
    fitted = alternate(problem, ridge=1e-6, iterations=60)
    error = relative_error(fitted.update(), problem.truth)
    assert 1e-9 < float(error.max()) < 1e-5


def test_no_iterations_give_the_start() -> None:
    problem = _small()
    model: Model = alternate(problem, iterations=0)
    assert torch.equal(model.A, start_model(problem).A)


def test_a_wrong_start_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean spectral"):
        start_model(_small(), "spektral")
