"""The table of cores: identity at first, one function in two forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.adapters import CORES

NUMBERS = {"full": lambda r: r * r, "diag": lambda r: r, "scalar": lambda r: 1}


def test_every_core_has_its_count_of_numbers() -> None:
    assert set(NUMBERS) == set(CORES)
    for name, count in NUMBERS.items():
        for rank in (1, 4):
            assert CORES[name]().first(3, rank).numel() == 3 * count(rank)


@pytest.mark.parametrize("name", CORES)
def test_a_core_begins_as_the_identity_of_every_task(name: str) -> None:
    core = CORES[name]()
    first = core.first(3, 4)
    assert len(first) == 3
    hidden = torch.randn(3, 5, 2, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(core.apply(hidden, first), hidden)
    for own in first:
        assert torch.equal(core.as_matrix(own, 4), torch.eye(4))
    assert first.is_contiguous()
    assert first.untyped_storage().nbytes() == first.numel() * 4


@pytest.mark.parametrize("name", CORES)
@given(
    batch=st.integers(0, 3),
    tokens=st.integers(1, 3),
    blocks=st.integers(1, 3),
    rank=st.integers(1, 4),
)
def test_applying_a_core_is_multiplying_by_its_matrix(
    name: str, batch: int, tokens: int, blocks: int, rank: int
) -> None:
    core = CORES[name]()
    dice = torch.Generator().manual_seed(batch + 7 * tokens + 49 * blocks + 343 * rank)
    shape = core.first(1, rank).shape[1:]
    cores = torch.randn(batch, *shape, generator=dice, dtype=torch.float64)
    hidden = torch.randn(
        batch, tokens, blocks, rank, generator=dice, dtype=torch.float64
    )
    before = hidden.clone(), cores.clone()
    got = core.apply(hidden, cores)
    for b in range(batch):
        matrix = core.as_matrix(cores[b], rank)
        assert matrix.shape == (rank, rank)
        torch.testing.assert_close(got[b], hidden[b] @ matrix.T)
    assert torch.equal(hidden, before[0]) and torch.equal(cores, before[1])


def test_a_full_core_by_hand() -> None:
    core = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])
    hidden = torch.tensor([[[3.0, 5.0]]])
    assert torch.equal(
        CORES["full"]().apply(hidden, core), torch.tensor([[[5.0, 6.0]]])
    )


def test_an_unknown_core_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'diagg'\. Did you mean diag\?"):
        CORES["diagg"]
