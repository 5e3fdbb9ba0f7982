"""Answers to all rows of one part of a task, on one or several processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn

from ..data import Batch, Task, build_collator, get_part
from ._spec import EvaluationSpec
from .bases import Base, Prediction

if TYPE_CHECKING:
    from ..data._source import PartName

T = TypeVar("T")
Row = Mapping[str, Any]


def predict(
    model: nn.Module,
    base: Base,
    task: Task,
    *,
    part: PartName = "test",
    spec: EvaluationSpec | None = None,
) -> tuple[list[Prediction], list[str]]:
    """Predict the answers to all rows of one part of a task.

    With several processes each takes its share of the batches; all get all answers.

    Args:
        model: The model, with or without an adapter. It is left in the mode it had.
        base: How rows become batches and answers.
        task: The task.
        part: Which part.
        spec: Batch size and length of answers; None: the defaults.

    Returns:
        Predictions and right answers, in the order of the rows. Rows that do not fit
        the form are missing if the task skips bad rows.

    Raises:
        ConfigError: The task has no such part, or rows do not fit.
    """
    spec = EvaluationSpec() if spec is None else spec
    form = base.form_to_score(task)
    raw = cast(Sequence[Row], get_part(task, part))
    encoded = list(cast("Sequence[Row]", base.encode(task, part, form)))
    rows = [raw[row["row"]] for row in encoded]
    collate = build_collator(form, base.tokenizer)
    batches = _cut(_sort_by_length(encoded), spec.batch_size)
    found: dict[int, Prediction] = {}
    with _evaluating(model), torch.no_grad():
        for picks in _deal(batches):
            batch = _move(collate([encoded[pick] for pick in picks]), model)
            predictions = base.score(
                model,
                task,
                batch,
                [rows[pick] for pick in picks],
                max_new_tokens=spec.max_new_tokens,
            )
            found.update(zip(picks, predictions, strict=True))
    found = _gather(found)
    return [found[n] for n in range(len(rows))], [row["answer"] for row in rows]


def _sort_by_length(rows: Sequence[Row]) -> list[int]:
    """Order rows from long to short: little padding, and too large a batch shows."""
    lengths = [_length(row["input_ids"]) for row in rows]
    return sorted(range(len(rows)), key=lambda number: -lengths[number])


def _length(ids: Sequence[Any]) -> int:
    return sum(map(len, ids)) if isinstance(ids[0], list) else len(ids)


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _deal(batches: list[T]) -> list[T]:
    """Take this process's share; all processes get the same number.

    Sharded models talk in every forward pass, so no process may make one less.
    """
    if not _is_distributed():
        return batches
    rank, world = dist.get_rank(), dist.get_world_size()
    filled = batches + batches[:1] * (-len(batches) % world)
    return filled[rank::world]


def _gather(found: dict[int, Prediction]) -> dict[int, Prediction]:
    if not _is_distributed():
        return found
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, found)
    return {number: one for part in parts for number, one in part.items()}


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _move(batch: Batch, model: nn.Module) -> Batch:
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in batch.items()}


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode, and put every module back into the mode it had."""
    trained = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True
