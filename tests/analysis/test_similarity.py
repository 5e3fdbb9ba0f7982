import math

import pytest
import torch

from cotune._adapter import Adapter, Factors
from cotune._errors import ConfigError
from cotune.analysis import similarity
from cotune.analysis._similarity import subspace, subspace_similarity


def one_layer(A, B=None, **about):
    B = torch.ones(len(A), 3, A.shape[1]) if B is None else B
    return Adapter(layers={"q": Factors(A=A, B=B, scale=1.0)}, **about)


def rotated(angle):
    """Return two rows in four dimensions that span a plane turned by an angle."""
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[[1.0, 0, 0, 0], [0, c, s, 0]]], dtype=torch.float64)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2])
def test_the_likeness_is_the_mean_squared_cosine_of_the_principal_angles(angle):
    # By hand: the angles of the two planes are 0 and the turn.
    found = similarity({"a": one_layer(rotated(0)), "b": one_layer(rotated(angle))})
    assert found.between("a", "b") == pytest.approx((1 + math.cos(angle) ** 2) / 2)
    assert found.random_level == 2 / 4


def test_the_likeness_depends_on_the_subspace_and_not_on_its_basis(adapter):
    A = adapter(0).layers["model.layers.0.q_proj"].A
    mixed = torch.tensor([[2.0, 1.0], [0.5, -3.0]], dtype=torch.float64) @ A
    found = similarity({"a": one_layer(A), "b": one_layer(mixed)})
    assert found.between("a", "b") == pytest.approx(1, abs=1e-12)


def test_random_subspaces_have_the_random_level_on_average():
    dice = torch.Generator().manual_seed(0)
    r, d = 4, 40
    draws = [
        subspace_similarity(
            *(subspace(m) for m in torch.randn(2, d, r, generator=dice))
        )
        for _ in range(300)
    ]
    assert sum(draws) / len(draws) == pytest.approx(r / d, rel=0.05)


def test_unequal_ranks_have_the_random_level_of_the_larger(adapter):
    pair = {"a": adapter(0, rank=1, layers=1), "b": adapter(1, rank=3, layers=1)}
    assert similarity(pair).random_level == 3 / 7
    assert similarity(pair, factor="B").random_level == 3 / 6


def test_a_factor_that_is_zero_has_no_likeness(adapter):
    A = adapter(0).layers["model.layers.0.q_proj"].A
    zero = one_layer(A, torch.zeros(1, 3, 2, dtype=torch.float64))
    full = one_layer(A, torch.ones(1, 3, 2, dtype=torch.float64))
    found = similarity({"zero": zero, "full": full}, factor="B")
    assert math.isnan(found.between("zero", "full"))
    assert found.to_dict()["rows"][0]["value"] is None


def test_dependent_columns_count_once():
    assert subspace(torch.ones(5, 3)).shape == (5, 1)
    assert subspace(torch.ones(2, 3)).shape == (2, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_factors_in_short_dtypes_keep_all_their_directions(dtype):
    dice = torch.Generator().manual_seed(0)
    A = (
        torch.randn(1, 4, 512, generator=dice)
        * torch.tensor([1, 1, 1e-2, 1e-3])[:, None]
    )
    near = A + 0.1 * A.norm(dim=-1, keepdim=True) / 512**0.5 * torch.randn(
        A.shape, generator=dice
    )
    found = similarity({"a": one_layer(A.to(dtype)), "b": one_layer(near.to(dtype))})
    assert found.random_level == 4 / 512
    exact = similarity({"a": one_layer(A.double()), "b": one_layer(near.double())})
    # bf16 has 8 bits: an angle of 1 / 256 at most, squared.
    assert found.between("a", "b") == pytest.approx(exact.between("a", "b"), abs=1e-3)
    # Equal up to rounding is one direction, and so is a column with itself.
    column = torch.randn(512, 1, generator=dice)
    twice = torch.cat([column, 0.3 * column], dim=1).to(dtype)
    assert subspace(twice).shape == (512, 1)


def test_members_of_a_bank_are_compared_under_the_names_of_their_tasks():
    bank = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0))
    own = {"tasks": ("x", "y", "z"), "config": {"num_A": "tasks"}}
    named = similarity({"run": one_layer(bank, **own)})
    assert named.names == ("run[x]", "run[y]", "run[z]")
    assert similarity({"run": one_layer(bank)}).names == ("run[0]", "run[1]", "run[2]")
    # The first one belongs to all.
    both = {"tasks": ("x", "y"), "config": {"num_A": "tasks"}}
    assert similarity({"run": one_layer(bank, **both)}).names[0] == "run[0]"
    assert similarity({"run": one_layer(bank, **both)}).names[1:] == named.names[:2]


def test_as_many_experts_as_tasks_are_not_called_by_the_names_of_tasks():
    bank = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(0))
    routed = {"tasks": ("x", "y"), "config": {"num_A": 2, "coupling": "router"}}
    names = similarity({"run": one_layer(bank, **routed)}).names
    assert names == ("run[0]", "run[1]")


def test_the_matrix_is_symmetric_with_ones_on_the_diagonal(adapter):
    found = similarity({name: adapter(seed) for seed, name in enumerate("abc")})
    matrix = torch.tensor(found.matrix())
    torch.testing.assert_close(matrix, matrix.T)
    assert matrix.diagonal().tolist() == [1, 1, 1]
    assert len(found.rows()) == 2 * 3


@pytest.mark.parametrize(
    ("names", "factor", "message"),
    [("a", "A", "at least two"), ("ab", "C", "factor must be A or B")],
)
def test_what_cannot_be_compared_is_refused(adapter, names, factor, message):
    with pytest.raises(ConfigError, match=message):
        similarity({name: adapter(0) for name in names}, factor=factor)


def test_layers_of_other_widths_are_refused(adapter):
    with pytest.raises(ConfigError, match="must have one width"):
        similarity({"a": adapter(0), "b": adapter(0, d_in=9)})
