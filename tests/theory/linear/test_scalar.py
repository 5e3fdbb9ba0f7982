from __future__ import annotations

import torch

from cotune.theory.linear._problem import Model
from cotune.theory.linear._scalar import _draw, _fit_cores, _solve


def test_a_response_is_the_inner_product_with_the_truth() -> None:
    X, y, truth = _draw(2, 5, seeds=2, size=4, rank=2)
    assert X.shape == (2, 2, 5, 4, 4)
    expected = (X[1, 0, 3] * truth[1, 0]).sum()
    torch.testing.assert_close(y[1, 0, 3], expected)


def test_cores_and_factors_are_recovered_from_exact_neighbours() -> None:
    X, y, truth = _draw(3, 30, seeds=2, size=4, rank=2)
    U = torch.linalg.svd(truth.movedim(1, 2).flatten(2))[0][..., :2]
    Vh = torch.linalg.svd(truth.flatten(1, 2))[2][:, :2]
    start = Model(B=U, S=torch.zeros(2, 3, 2, 2, dtype=torch.float64), A=Vh)
    model = _fit_cores(X, y, start)
    torch.testing.assert_close(model.update(), truth)
    design = torch.einsum("suab,sia,sunij->sunbj", model.S, model.B, X)
    again = _solve(design, y, torch.zeros_like(model.A))
    torch.testing.assert_close(again, model.A)
