from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cotune.theory._descent import descend


def _bowl(_: int, values: Sequence[Tensor]) -> Tensor:
    return torch.stack([value.square().sum() for value in values]).sum()


def test_the_first_step_of_adam_has_the_length_of_the_rate() -> None:
    start = torch.tensor([2.0, -3.0], dtype=torch.float64)
    (end,) = descend([start], _bowl, steps=1, learning_rate=0.1)
    torch.testing.assert_close(end, start - 0.1 * start.sign(), atol=1e-8, rtol=0)


def test_the_start_is_not_changed_and_the_end_needs_no_gradient() -> None:
    start = torch.ones(2)
    (end,) = descend([start], _bowl, steps=3, learning_rate=0.1)
    assert start.tolist() == [1, 1]
    assert not end.requires_grad


def test_a_cosine_reaches_the_bottom_more_closely_than_a_constant_rate() -> None:
    start = [torch.tensor([1.0, -0.4], dtype=torch.float64)]
    constant = descend(start, _bowl, steps=60, learning_rate=0.1)[0]
    cosine = descend(start, _bowl, steps=60, learning_rate=0.1, cosine=True)[0]
    assert float(cosine.norm()) < float(constant.norm())


def test_decay_shrinks_what_the_loss_does_not_touch() -> None:
    free, bound = torch.ones(1), torch.ones(1)

    def loss(_: int, values: Sequence[Tensor]) -> Tensor:
        return (values[1] + 0 * values[0]).square().sum()

    end = descend([free, bound], loss, steps=1, learning_rate=0.1, decay=0.5)
    torch.testing.assert_close(end[0], torch.tensor([0.95]))


def test_the_loss_is_told_the_number_of_the_step() -> None:
    seen: list[int] = []

    def loss(step: int, values: Sequence[Tensor]) -> Tensor:
        seen.append(step)
        return _bowl(step, values)

    descend([torch.ones(1)], loss, steps=3, learning_rate=0.1)
    assert seen == [0, 1, 2]
