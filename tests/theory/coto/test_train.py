from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune.theory.coto._network import BLOCKS, Adapters, draw_adapters
from cotune.theory.coto._train import (
    Copies,
    MaskedAdamW,
    draw_masks,
    loss_sum,
    pair_copies,
)


def test_the_two_arms_of_a_pair_share_their_seed() -> None:
    copies = pair_copies(2, 3)
    assert copies.problem == (0,) * 6 + (1,) * 6
    assert copies.masked == ((False,) * 3 + (True,) * 3) * 2
    assert copies.seed[:3] == copies.seed[3:6]
    assert len(set(copies.seed)) == 6


@given(seed=st.integers(0, 10_000), steps=st.integers(1, 60))
def test_masks_are_never_empty_and_full_in_the_last_quarter(
    seed: int, steps: int
) -> None:
    masks = draw_masks(Copies((0, 0), (False, True), (seed, seed)), steps)
    assert bool((masks[0] == 1).all())
    assert bool((masks[1].sum(1) >= 1).all())
    first_full = -(-3 * steps // 4)
    assert bool((masks[1, first_full:] == 1).all())


def test_the_share_of_blocks_that_are_on_is_that_of_the_schedule() -> None:
    masks = draw_masks(Copies((0,), (True,), (0,)), 20_000)
    # (1 / 2) * .75 + .25 = .625, and a little more as no mask is empty: at the start
    # one of eight is on instead of none, (1/8) * integral of (1 - p)^8 * .75 = .0104.
    assert abs(float(masks.mean()) - 0.635) < 0.005


def _random(seed: int) -> Adapters:
    generator = torch.Generator().manual_seed(seed)
    return draw_adapters([1, 2]).map(
        lambda t: torch.randn(t.shape, generator=generator)
    )


def test_with_all_blocks_on_a_step_is_one_of_adamw() -> None:
    ours, theirs = _random(0), _random(0)
    leaves = [tensor.requires_grad_() for tensor in theirs.tensors()]
    reference = torch.optim.AdamW(leaves, lr=0.1, weight_decay=0.3)
    masked = MaskedAdamW(ours, decay=0.3)
    for step in range(4):
        gradients = tuple(_random(10 + step).tensors())
        masked.step(gradients, torch.ones(2, BLOCKS), 0.1)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient
        reference.step()
    for mine, leaf in zip(ours.tensors(), leaves, strict=True):
        torch.testing.assert_close(mine, leaf.detach(), atol=1e-5, rtol=1e-5)


def test_a_block_that_is_off_keeps_weights_moments_and_count() -> None:
    adapters = _random(0)
    masked = MaskedAdamW(adapters, decay=0.3)
    masked.step(tuple(_random(1).tensors()), torch.ones(2, BLOCKS), 0.1)
    mask = torch.ones(2, BLOCKS)
    mask[1, 3] = 0
    state = (*adapters.tensors(), *masked.mean, *masked.square, masked.count)
    before = [tensor.clone() for tensor in state]
    masked.step(tuple(_random(2).tensors()), mask, 0.1)
    for old, new in zip(before, state, strict=True):
        assert torch.equal(old[1, 3], new[1, 3])
        assert not torch.equal(old[1, 4], new[1, 4])


def test_the_loss_adds_the_copies() -> None:
    logits, labels = torch.randn(3, 4, 10), torch.randint(10, (3, 4))
    single = [loss_sum(logits[i : i + 1], labels[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss_sum(logits, labels), torch.stack(single).sum())
