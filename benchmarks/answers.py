"""What a model makes of rows with options: the logits of all options, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cotune.data import Batch, Task, build_collator
from cotune.training import Base
from cotune.training.bases._causal import _answer_losses
from cotune.training.bases._embedding import match_options


@dataclass(frozen=True)
class Answers:
    """What a model makes of the test rows of one task.

    Args:
        logits: Of the options, shape (rows, options); minus infinity where a row has
            fewer.
        right: Index of the right option, shape (rows,).
    """

    logits: Tensor
    right: Tensor

    @property
    def accuracy(self) -> float:
        """Return the share of rows whose largest logit is the right one."""
        return float((self.logits.argmax(1) == self.right).double().mean())


def prepare(base: Base, task: Task, size: int, most_rows: int | None) -> list[Batch]:
    """Encode the test rows of a task once, for many models.

    Args:
        base: How rows become batches.
        task: The task.
        size: Rows per batch.
        most_rows: Most rows; None takes all.
    """
    form = base.form_to_score(task)
    encoded = list(base.encode(task, "test", form))[:most_rows]
    encoded.sort(key=lambda row: len(str(row["input_ids"])))
    collate = build_collator(form, base.tokenizer)
    starts = range(0, len(encoded), size)
    return [collate(encoded[start : start + size]) for start in starts]


@torch.no_grad()
def answer(model: nn.Module, batches: Iterable[Batch]) -> Answers:
    """Compute the logits of all options of all rows.

    Args:
        model: In evaluation mode.
        batches: Of one task, from :func:`prepare`.
    """
    device = next(model.parameters()).device
    moved = ({key: part.to(device) for key, part in one.items()} for one in batches)
    logits, right = zip(*(_logits(model, batch) for batch in moved), strict=True)
    most = max(part.shape[1] for part in logits)
    filled = [
        nn.functional.pad(part, (0, most - part.shape[1]), value=float("-inf"))
        for part in logits
    ]
    return Answers(torch.cat(filled), torch.cat(right))


def _logits(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    if "option_index" in batch:
        return match_options(model, batch), batch["labels"]
    losses, _ = _answer_losses(model, batch)
    owner, right = batch["option_row"], batch["answer"]
    counts = owner.bincount(minlength=len(right))
    place = torch.cat([torch.arange(int(count)) for count in counts])
    logits = losses.new_full((len(right), int(counts.max())), float("-inf"))
    logits[owner, place.to(owner.device)] = -losses
    return logits, right
