"""The table of starts: what the factors are, and what they are made from."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cotune._errors import ConfigError
from cotune.adapters import STARTS
from cotune.adapters._start import StartFactors, StartShape
from cotune.adapters._start._svd import top_singular

WITH_COPIES = ["pissa", "pissa-split"]


def shape_of(**changes: Any) -> StartShape:
    fields = {"M": 2, "N": 3, "r": 2, "d_in": 14, "d_out": 11, "scale": 1.5}
    return StartShape(**{**fields, **changes})


def weight_of(shape: StartShape, seed: int = 0) -> Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.randn(shape.d_out, shape.d_in, generator=dice)


def made(name: str, shape: StartShape, seed: int = 1) -> StartFactors:
    generator = torch.Generator().manual_seed(seed)
    return STARTS[name](shape, weight_of(shape), generator=generator)


def full_sum(factors: StartFactors, scale: float) -> Tensor:
    return scale * factors.B.sum(0).T @ factors.A.sum(0)


def best(weight: Tensor, rank: int) -> Tensor:
    U, S, Vh = torch.linalg.svd(weight.double(), full_matrices=False)
    return ((U[:, :rank] * S[:rank]) @ Vh[:rank]).float()


@pytest.mark.parametrize("name", STARTS)
@given(
    M=st.integers(1, 3),
    N=st.integers(1, 3),
    r=st.integers(1, 3),
    d_in=st.integers(9, 16),
    d_out=st.integers(9, 16),
)
def test_every_start_has_the_shapes_that_it_promises(
    name: str, M: int, N: int, r: int, d_in: int, d_out: int
) -> None:
    shape = shape_of(M=M, N=N, r=r, d_in=d_in, d_out=d_out)
    factors = made(name, shape)
    assert factors.A.shape == (M, r, d_in) and factors.B.shape == (N, r, d_out)
    for tensor in (factors.A, factors.B, factors.A0, factors.B0):
        if tensor is not None:
            assert tensor.dtype == torch.float32 and tensor.is_contiguous()
            assert tensor.untyped_storage().nbytes() == 4 * tensor.numel()
    assert (factors.A0 is not None) == (factors.B0 is not None) == (name in WITH_COPIES)
    if factors.A0 is not None and factors.B0 is not None:
        assert torch.equal(factors.A0.expand_as(factors.A), factors.A)
        assert torch.equal(factors.B0.expand_as(factors.B), factors.B)
        assert factors.A0.data_ptr() != factors.A.data_ptr()
    else:
        assert not factors.B.any()


@pytest.mark.parametrize("name", STARTS)
def test_a_generator_repeats_a_start_and_leaves_the_global_one(name: str) -> None:
    state = torch.get_rng_state()
    one, two = made(name, shape_of()), made(name, shape_of())
    assert torch.equal(one.A, two.A) and torch.equal(one.B, two.B)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", STARTS)
def test_the_weight_is_not_changed(name: str) -> None:
    shape = shape_of()
    weight = weight_of(shape)
    copy = weight.clone()
    STARTS[name](shape, weight)
    assert torch.equal(weight, copy)


@pytest.mark.parametrize("name", ["kaiming", "colora"])
def test_kaiming_draws_every_factor_apart_within_its_bound(name: str) -> None:
    A = made(name, shape_of(M=3, d_in=4000, r=4)).A
    bound = 1 / math.sqrt(4000)
    assert A.abs().max() <= bound
    # Uniform: the standard deviation is bound / sqrt 3; 48000 draws, within 2 %.
    assert abs(float(A.std()) / (bound / math.sqrt(3)) - 1) < 0.02
    assert not torch.equal(A[0], A[1]) and not torch.equal(A[1], A[2])


def test_kaiming_has_the_bound_of_torch() -> None:
    theirs = torch.empty(4, 4000)
    torch.nn.init.kaiming_uniform_(theirs, a=math.sqrt(5))
    ours = made("kaiming", shape_of(M=1, d_in=4000, r=4)).A
    assert abs(float(ours.abs().max() / theirs.abs().max()) - 1) < 0.01


def test_gaussian_has_a_deviation_of_one_over_r() -> None:
    A = made("gaussian", shape_of(M=3, d_in=4000, r=4)).A
    # 48000 draws: five standard deviations of the deviation are 1.7 %.
    assert abs(float(A.std()) * 4 - 1) < 0.017 and abs(float(A.mean())) < 0.006
    assert not torch.equal(A[0], A[1])


@pytest.mark.parametrize("exact", [True, False])
def test_pissa_sums_to_the_best_part_of_rank_r(exact: bool) -> None:
    shape = shape_of(d_in=600, d_out=560, exact_svd=exact)
    factors = made("pissa", shape)
    wanted = best(weight_of(shape), shape.r)
    # A random matrix: its spectrum is flat, the worst case of the fast form.
    limit = 1e-4 if exact else 0.02
    error = (full_sum(factors, shape.scale) - wanted).norm() / wanted.norm()
    assert float(error) <= limit
    assert all(torch.equal(A, factors.A[0]) for A in factors.A)
    assert all(torch.equal(B, factors.B[0]) for B in factors.B)


def test_pissa_by_hand() -> None:
    shape = shape_of(M=2, N=1, r=1, d_in=2, d_out=2, scale=4.0, exact_svd=True)
    factors = STARTS["pissa"](shape, torch.diag(torch.tensor([9.0, 1.0])))
    # sqrt(9 / 4) = 1.5; each of the two A has half of it.
    assert torch.allclose(factors.A.abs(), torch.tensor([[[0.75, 0.0]]] * 2))
    assert torch.allclose(factors.B.abs(), torch.tensor([[[1.5, 0.0]]]))
    wanted = torch.diag(torch.tensor([9.0, 0.0]))
    assert torch.allclose(full_sum(factors, 4.0), wanted, atol=1e-6)


def test_pissa_split_gives_block_i_to_factor_i() -> None:
    shape = shape_of(M=2, N=3, r=2, d_in=30, d_out=20, exact_svd=True)
    factors = made("pissa-split", shape)
    weight = weight_of(shape)
    for i in range(2):
        part = shape.scale * factors.B[i].T @ factors.A[i]
        wanted = best(weight, 2 * (i + 1)) - best(weight, 2 * i)
        assert torch.allclose(part, wanted, atol=1e-4)
    assert not torch.allclose(factors.A[0], factors.A[1])
    assert torch.linalg.matrix_rank(factors.A.flatten(0, 1)) == 4


def test_pissa_of_a_half_precision_weight_is_computed_in_fp32() -> None:
    shape = shape_of(exact_svd=True)
    weight = weight_of(shape).bfloat16()
    factors = STARTS["pissa"](shape, weight)
    assert factors.A.dtype == torch.float32
    wanted = best(weight.float(), shape.r)
    assert torch.allclose(full_sum(factors, shape.scale), wanted, atol=1e-4)


@pytest.mark.parametrize("name", WITH_COPIES)
def test_what_cannot_be_decomposed_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"got none\. Use start='kaiming'"):
        STARTS[name](shape_of(), None)
    with pytest.raises(ConfigError, match=r"got torch\.int8"):
        STARTS[name](shape_of(), torch.zeros(11, 14, dtype=torch.int8))
    with pytest.raises(ConfigError, match=r"layer of 11 x 14\. Lower r"):
        STARTS[name](shape_of(r=12), weight_of(shape_of()))


def test_an_unknown_start_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'piss'\. Did you mean pissa"):
        STARTS["piss"]


# -- the singular value decomposition --------------------------------------------------


@pytest.mark.parametrize("shape", [(700, 600), (600, 700), (30, 30), (5, 80)])
@pytest.mark.parametrize("exact", [True, False])
def test_singular_triples_are_those_of_torch(
    shape: tuple[int, int], exact: bool
) -> None:
    dice = torch.Generator().manual_seed(0)
    rank = 4
    left = torch.linalg.qr(torch.randn(shape[0], 5, generator=dice)).Q
    right = torch.linalg.qr(torch.randn(shape[1], 5, generator=dice)).Q
    matrix = (left * torch.tensor([9.0, 7, 5, 3, 0.1])) @ right.T
    U, S, Vh = top_singular(matrix, rank, exact=exact, generator=dice)
    assert U.shape == (shape[0], rank) and Vh.shape == (rank, shape[1])
    assert torch.allclose(S, torch.tensor([9.0, 7, 5, 3]), atol=1e-4)
    assert torch.allclose(U.T @ U, torch.eye(rank), atol=1e-5)
    assert torch.allclose(Vh @ Vh.T, torch.eye(rank), atol=1e-5)
    assert torch.allclose((U * S) @ Vh, best(matrix, rank), atol=1e-3)


def test_more_iterations_help_on_a_flat_spectrum() -> None:
    matrix = torch.randn(620, 600, generator=torch.Generator().manual_seed(0))
    exact = torch.linalg.svdvals(matrix)[:4]
    errors = []
    for iterations in (0, 2, 16):
        dice = torch.Generator().manual_seed(1)
        found = top_singular(matrix, 4, iterations=iterations, generator=dice)[1]
        errors.append(float((found - exact).norm() / exact.norm()))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-3
