from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cotune.theory.coto._arms import ToySize, Trained, train_arms
from cotune.theory.coto._data import Shift
from cotune.theory.coto._network import BLOCKS, forward
from cotune.theory.coto._stability import LEVELS, _curve, _labels, count_correct

SIZE = ToySize(
    problems=1,
    seeds=1,
    steps=4,
    learning_rate=5e-3,
    pretrain_steps=4,
    shift=Shift(),
)


@pytest.fixture(scope="module")
def shaken() -> Trained:
    """Adapters far from the base, so that every set of blocks labels otherwise."""
    trained = train_arms(SIZE)
    generator = torch.Generator().manual_seed(0)
    adapters = trained.adapters.map(
        lambda t: t + 0.3 * torch.randn(t.shape, generator=generator)
    )
    return replace(trained, adapters=adapters)


@pytest.mark.parametrize("number", [0, 1, 6, 129, 255])
def test_bit_b_of_a_set_turns_block_b_on(shaken: Trained, number: int) -> None:
    x = shaken.test.x[:, :20]
    mask = torch.tensor([float(number >> b & 1) for b in range(BLOCKS)]).expand(2, -1)
    expected = forward(shaken.network, x, shaken.adapters, mask).argmax(-1)
    assert torch.equal(_labels(shaken, x)[:, number], expected)


def test_counting_in_chunks_changes_nothing(shaken: Trained) -> None:
    whole = count_correct(shaken, 30, chunk=30)
    assert torch.equal(whole, count_correct(shaken, 30, chunk=7))
    assert whole.shape == (2, 2**BLOCKS)


def test_psi_of_the_number_of_blocks_is_linear_in_q() -> None:
    on = torch.tensor([[float(n.bit_count()) for n in range(2**BLOCKS)]])
    expected = torch.tensor([[BLOCKS * q for q in LEVELS]])
    torch.testing.assert_close(_curve(on), expected)


def test_psi_ends_at_none_and_at_all() -> None:
    score = torch.rand(3, 2**BLOCKS)
    psi = _curve(score)
    torch.testing.assert_close(psi[:, 0], score[:, 0])
    torch.testing.assert_close(psi[:, -1], score[:, -1])
