import pytest
import torch

from cotune.operators.convert._linalg import norm, qr, row_norms, svd


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 1)])
def test_qr_and_svd_give_back_the_matrix_in_the_smaller_form(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    Q, R = qr(matrix)
    U, S, Vh = svd(matrix)
    least = min(shape)
    assert Q.shape == U.shape == (shape[0], least)
    assert torch.allclose(Q @ R, matrix, atol=1e-12)
    assert torch.allclose(U @ torch.diag(S) @ Vh, matrix, atol=1e-12)
    assert torch.allclose(Q.T @ Q, torch.eye(least).double(), atol=1e-12)
    assert S.tolist() == sorted(S.tolist(), reverse=True)


def test_the_norm_of_many_single_precision_numbers_is_exact_to_seven_digits():
    matrix = torch.randn(2000, 2000, generator=torch.Generator().manual_seed(0))
    assert norm(matrix) == pytest.approx(float(matrix.double().norm()), rel=2e-7)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (0, 3)])
def test_the_norm_takes_any_shape(shape):
    tensor = torch.full(shape, 2.0)
    assert norm(tensor) == pytest.approx(2 * tensor.numel() ** 0.5)


def test_each_row_has_its_norm():
    assert row_norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [5.0, 0.0]
