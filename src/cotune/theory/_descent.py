"""The one training loop of the laboratory."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def descend(
    start: Sequence[Tensor],
    loss: Callable[[int, Sequence[Tensor]], Tensor],
    *,
    steps: int,
    learning_rate: float,
    decay: float = 0.0,
    cosine: bool = False,
) -> list[Tensor]:
    """Minimise a loss with Adam.

    Adam works entry by entry, so a stack of independent problems with the sum of their
    losses trains as if each had an optimizer of its own.

    Args:
        start: First values; not changed.
        loss: Maps the number of the step and the present values to a scalar.
        steps: Adam steps.
        learning_rate: First learning rate.
        decay: Decoupled weight decay (AdamW).
        cosine: Let the learning rate fall to 0 on a cosine; else it is constant.

    Returns:
        The last values, detached, in the order of ``start``.
    """
    values = [value.detach().clone().requires_grad_() for value in start]
    adam = torch.optim.AdamW(values, lr=learning_rate, weight_decay=decay)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps) if cosine else None
    for step in range(steps):
        adam.zero_grad()
        loss(step, values).backward()
        adam.step()
        if rate is not None:
            rate.step()
    return [value.detach() for value in values]
