"""Local training with DP-SGD: every row's gradient is clipped, their sum gets noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...data import Task
from ...data._seed import make_generator
from ...training import Base, TrainingSpec
from ..privacy import Accountant, LocalSpec, PrivateSteps

if TYPE_CHECKING:
    from peft import PeftModel

Account = list[dict[str, Any]]
"""Privacy spent, as the accountant writes it."""


def train_privately(
    base: Base,
    model: PeftModel,
    task: Task,
    spec: TrainingSpec,
    privacy: LocalSpec,
    account: Account,
    *,
    name: str,
) -> tuple[Account, float]:
    """Train with AdamW at a constant rate, and count what it costs.

    Args:
        base: How rows become batches and losses.
        model: Changed in place, on the device that it is on.
        task: The client's rows.
        spec: Learning rate, betas, weight decay, batch size, steps or epochs, seed. Its
            batch size is a mean: rows are chosen by coins.
        privacy: Clipping and noise.
        account: Of the rounds before.
        name: The client's; noise from a seed must differ between clients of one task.

    Returns:
        The account with this round, and epsilon so far.
    """
    import torch

    rows = base.encode(task)
    size = min(spec.per_device_train_batch_size, len(rows))
    trained = [p for p in model.parameters() if p.requires_grad]
    betas = (spec.adam_beta1, spec.adam_beta2)
    steps = PrivateSteps(
        torch.optim.AdamW(
            trained, spec.learning_rate, betas, weight_decay=spec.weight_decay
        ),
        privacy,
        rows=len(rows),
        rows_per_step=size,
        generator=make_generator(spec.seed, "private", name),
        accountant=Accountant.from_json([*account]),
    )
    device = trained[0].device

    def loss(row: dict[str, Any]) -> torch.Tensor:
        batch = base.collate([row])
        return base.loss(model, {name: x.to(device) for name, x in batch.items()})

    model.train()
    for _ in range(_count_steps(spec, len(rows), size)):
        steps.step([rows[number] for number in steps.draw_rows()], loss)
    model.eval()
    return steps.accountant.to_json(), steps.epsilon


def _count_steps(spec: TrainingSpec, rows: int, size: int) -> int:
    if spec.max_steps > 0:
        return spec.max_steps
    return max(1, math.ceil(spec.num_train_epochs * rows / size))
