"""The form for sequence classifiers: a text and the number of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._errors import ConfigError
from .._load import Task
from .._values import say_unknown
from ._encode import Context


def encode_classes(row: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Encode the prompt, and the answer as the number of its label.

    Args:
        row: A row with a prompt.
        context: Tokenizer, length and labels.

    Returns:
        ``input_ids``, (length,), and ``labels``, an index into ``context.labels``.

    Raises:
        ConfigError: The answer is none of the labels.
    """
    if row["answer"] not in context.labels:
        raise ConfigError(say_unknown("label", row["answer"], context.labels))
    return {
        "input_ids": context.tokens.text(row["prompt"], context.max_length),
        "labels": context.labels.index(row["answer"]),
    }


def join_labels(tasks: Sequence[Task]) -> list[str]:
    """List the labels of all tasks: the outputs of one classifier for all of them.

    Args:
        tasks: Tasks whose rows all have the same options (kind label, or choice with
            one set of options).

    Returns:
        The labels in order of first use. A label that two tasks share ("yes") is one
        output; a prediction is taken among the task's own ``labels``.

    Raises:
        ConfigError: A task whose options change from row to row, or that has none.
    """
    labels: dict[str, None] = {}
    for task in tasks:
        if task.labels is None:
            raise ConfigError(
                f"task {task.name!r}: a classifier needs the same options in every "
                "row, got others or none. Use an encoder or a causal model instead."
            )
        labels.update(dict.fromkeys(task.labels))
    return list(labels)
