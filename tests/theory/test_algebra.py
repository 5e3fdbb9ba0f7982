from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cotune.theory._algebra import (
    add_diagonal,
    frobenius,
    least_squares,
    left_directions,
    orthonormal_columns,
    orthonormal_rows,
    pseudo_inverse,
    right_directions,
    solve,
    solve_from,
    truncate,
)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(seed=st.integers(0, 1000), rank=st.integers(1, 4))
def test_orthonormal_columns_span_the_same_space(seed: int, rank: int) -> None:
    matrix = _normal(2, 6, rank, seed=seed)
    basis = orthonormal_columns(matrix)
    eye = torch.eye(rank, dtype=torch.float64).expand(2, rank, rank)
    torch.testing.assert_close(basis.mT @ basis, eye, atol=1e-12, rtol=0)
    back = basis @ (basis.mT @ matrix)
    torch.testing.assert_close(back, matrix, atol=1e-12, rtol=0)
    assert bool(((basis.mT @ matrix).diagonal(dim1=1, dim2=2) > 0).all())


def test_orthonormal_rows_are_the_columns_of_the_transpose() -> None:
    matrix = _normal(2, 3, 6)
    assert torch.equal(orthonormal_rows(matrix), orthonormal_columns(matrix.mT).mT)


def test_truncating_a_diagonal_keeps_its_largest_entries() -> None:
    matrix = torch.diag(torch.tensor([1.0, 3.0, 2.0]))
    kept = torch.diag(torch.tensor([0.0, 3.0, 2.0]))
    torch.testing.assert_close(truncate(matrix, 2), kept)
    assert left_directions(matrix, 1).abs().flatten().tolist() == [0, 1, 0]
    assert right_directions(matrix, 1).abs().flatten().tolist() == [0, 1, 0]


def test_the_norm_keeps_two_axes() -> None:
    matrix = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    assert frobenius(matrix).tolist() == [[[5.0]], [[2.0]]]


def test_one_singular_matrix_does_not_stop_the_batch() -> None:
    matrix = torch.stack([torch.eye(2), torch.zeros(2, 2)])
    solved = solve(matrix, torch.ones(2, 2, 1))
    assert solved[0].flatten().tolist() == [1, 1]
    assert not bool(torch.isfinite(solved[1]).any())


def test_least_squares_is_the_pseudo_inverse() -> None:
    matrix, right = _normal(3, 8, 2), _normal(3, 8, 1, seed=1)
    expected = pseudo_inverse(matrix) @ right
    torch.testing.assert_close(least_squares(matrix, right), expected)


def test_solving_from_anywhere_finds_the_only_solution() -> None:
    half, truth = _normal(5, 5), _normal(5, 2, seed=1)
    gram = half @ half.mT
    solved = solve_from(gram, gram @ truth, _normal(5, 2, seed=2))
    torch.testing.assert_close(solved, truth, atol=1e-8, rtol=0)


def test_what_the_data_do_not_determine_stays_where_it_was() -> None:
    gram = torch.diag(torch.tensor([2.0, 0.0], dtype=torch.float64))
    right = torch.tensor([[4.0], [0.0]], dtype=torch.float64)
    now = torch.tensor([[7.0], [7.0]], dtype=torch.float64)
    solved = solve_from(gram, right, now).flatten()
    torch.testing.assert_close(solved, solved.new_tensor([2.0, 7.0]))


def test_every_matrix_of_a_batch_gets_its_own_diagonal() -> None:
    added = add_diagonal(torch.zeros(2, 2, 2), torch.tensor([[1.0], [2.0]]))
    assert added.tolist() == [[[1, 0], [0, 1]], [[2, 0], [0, 2]]]
    assert add_diagonal(torch.zeros(1, 1), 3.0).tolist() == [[3.0]]
