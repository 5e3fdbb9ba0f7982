"""Rows of a task as token ids, in the form that a kind of base model wants."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ..._errors import ConfigError
from ..._registry import Registry
from .._faults import RowError, RowFault
from .._load import Task
from .._source import PartName
from .._table import build_dataset, each_row
from ._tokens import Tokens

if TYPE_CHECKING:
    from datasets import Dataset, Features

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What an encoder gets beside the row.

    Args:
        tokens: The tokenizer and its rules.
        max_length: Most tokens of one sequence.
        labels: Label names of the classifier's outputs, in order; empty otherwise.
    """

    tokens: Tokens
    max_length: int
    labels: tuple[str, ...] = ()


Encoder = Callable[[Mapping[str, Any], Context], dict[str, Any]]

ENCODERS: Registry[Encoder] = Registry(
    "form of encoding",
    {
        "causal": "cotune.data.encode._causal:encode_causal",
        "causal_options": "cotune.data.encode._causal:encode_causal_options",
        "causal_prompt": "cotune.data.encode._causal:encode_causal_prompt",
        "embedding": "cotune.data.encode._embedding:encode_embedding",
        "classes": "cotune.data.encode._classes:encode_classes",
    },
)


def encode_task(
    task: Task,
    *,
    form: str,
    tokens: Tokens,
    task_id: int,
    part: PartName = "train",
    labels: Sequence[str] = (),
) -> Dataset:
    """Encode one part of a task.

    Args:
        task: The task.
        form: A name of :data:`ENCODERS`.
        tokens: The tokenizer and its rules.
        task_id: Number of the task among the run's tasks, from 0.
        part: Which part.
        labels: For form ``classes``: the labels of all tasks (:func:`join_labels`).

    Returns:
        The columns of the form, and ``tasks`` (``task_id``) and ``row`` (number of the
        row in the part: bad rows may have been left out).

    Raises:
        ConfigError: The task has no such part.
        RowError: Rows that do not fit the form, e.g. an answer longer than
            ``max_length``; unless ``on_bad_row`` is skip.
    """
    rows = get_part(task, part)
    limit = task.spec.limits.max_length or tokens.spec.max_length
    context = Context(tokens, limit, tuple(labels))
    encode = ENCODERS[form]
    faults: list[RowFault] = []
    lengths: list[int] = []

    def keep_good() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(each_row(rows)):
            try:
                encoded = encode(row, context)
            except ConfigError as error:
                faults.append(RowFault(row["where"], str(error)))
            else:
                lengths.append(_longest(encoded["input_ids"]))
                yield {**encoded, "tasks": task_id, "row": number}

    encoded = _collect(keep_good())
    if encoded is None or (faults and task.spec.on_bad_row != "skip"):
        raise RowError(task.name, faults, len(rows))
    _log_lengths(task, part, sum(length >= limit for length in lengths), faults)
    return encoded


def get_part(task: Task, part: PartName) -> Dataset:
    """Get the rows of one part.

    Args:
        task: The task.
        part: ``train``, ``validation`` or ``test``.

    Returns:
        The rows.

    Raises:
        ConfigError: The task has no such part; the message says how to give it one.
    """
    rows = {"train": task.train, "validation": task.validation, "test": task.test}[part]
    if rows is None:
        cut = ", or set validation_share" if part == "validation" else ""
        raise ConfigError(
            f"task {task.name!r}: there must be {part} rows, got none. "
            f"Set source.{part}{cut}."
        )
    return rows


def _collect(rows: Iterator[dict[str, Any]]) -> Dataset | None:
    first = list(islice(rows, 1))
    if not first:
        return None
    return build_dataset(chain(first, rows), _infer_features(first[0]))


def _infer_features(row: Mapping[str, Any]) -> Features:
    from datasets import Features

    return Features({name: _infer_type(value) for name, value in row.items()})


def _infer_type(value: Any) -> Any:
    from datasets import List, Value

    return List(_infer_type(value[0])) if isinstance(value, list) else Value("int64")


def _log_lengths(task: Task, part: str, full: int, faults: list[RowFault]) -> None:
    if full:
        _LOG.info(
            "task %r: %d %s rows are as long as max_length allows; longer prompts lost "
            "their start.",
            *(task.name, full, part),
        )
    if faults:
        _LOG.warning(
            "task %r: %d %s rows do not fit and are left out (on_bad_row: skip); "
            "first: %s",
            *(task.name, len(faults), part, faults[0]),
        )


def _longest(ids: Sequence[Any]) -> int:
    return max(map(len, ids)) if isinstance(ids[0], list) else len(ids)
