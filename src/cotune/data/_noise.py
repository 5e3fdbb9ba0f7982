"""Wrong answers on purpose: how well does training bear a share of them?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from .._errors import ConfigError
from ._table import build_dataset, each_row

if TYPE_CHECKING:
    from datasets import Dataset

    from ._task import TaskSpec

_WITH_OPTIONS = ("choice", "label")


def check_noise(tasks: Iterable[TaskSpec]) -> None:
    """Refuse label noise for tasks that have no other option to put in.

    Args:
        tasks: The tasks, with the share of the data section where they set none.

    Raises:
        ConfigError: A task of kind text or chat has a share above 0.
    """
    wrong = [
        f"{task.name!r} ({task.kind})"
        for task in tasks
        if task.label_noise and task.kind not in _WITH_OPTIONS
    ]
    if wrong:
        raise ConfigError(
            "label_noise: tasks must have options (kind choice or label), got "
            f"{', '.join(wrong)}. Set label_noise: 0 for those under data.tasks, or "
            "leave those of a folder out with exclude."
        )


def add_label_noise(
    rows: Dataset, *, share: float, generator: torch.Generator
) -> Dataset:
    """Give a share of the rows another of their options as answer.

    One draw per row, over the rows in order of their content, decides both which rows
    are wrong and how. So the order of the rows makes no difference, and the wrong rows
    of a smaller share are wrong in the same way under a larger one.

    Args:
        rows: Rows ``{prompt, options, answer, where}``, each with two different options
            or more. Not changed.
        share: Part of the rows that get a wrong answer, in [0, 1). Exactly
            ``round(share * len(rows))`` rows do.
        generator: Source of chance.

    Returns:
        The rows in the same order; wrong answers are drawn evenly from the row's other
        options. ``rows`` itself if none gets one.

    Raises:
        ConfigError: ``share`` is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ConfigError(f"label_noise: must be in [0, 1), got {share!r}.")
    count = round(share * len(rows))
    if not count:
        return rows
    table = list(each_row(rows))
    order = sorted(range(len(table)), key=lambda number: _content(table[number]))
    first = torch.randperm(len(order), generator=generator)[:count].tolist()
    draws = torch.randint(2**62, (len(order),), generator=generator).tolist()
    for place in first:
        row = table[order[place]]
        others = sorted(option for option in row["options"] if option != row["answer"])
        row["answer"] = others[draws[place] % len(others)]
    return build_dataset(table, rows.features)


def _content(row: dict[str, Any]) -> tuple[str, list[str], str]:
    # Not where it stands: a file with its lines in another order is the same data.
    return row["prompt"], sorted(row["options"]), row["answer"]
