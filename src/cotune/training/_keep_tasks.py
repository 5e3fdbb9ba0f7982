"""Keep the column ``tasks`` beside any collator: for other people's trainers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._errors import ConfigError, unknown_name


@dataclass(frozen=True)
class KeepTasks:
    """A collator that adds ``tasks`` to what another collator makes.

    Give it to ``transformers.Trainer`` or TRL's ``SFTTrainer`` as ``data_collator``,
    and set ``remove_unused_columns=False``, or the column never reaches it.

    Args:
        collator: The collator to ask for all else. It never sees ``tasks``.
        names: Tasks of the adapter's bank, in its order (``config.tasks``), where the
            column holds names. None: the column holds rows of the bank, from 0.

    Example:
        ``Trainer(model, args, data_collator=KeepTasks(collator, config.tasks), ...)``
    """

    collator: Callable[[list[dict[str, Any]]], Mapping[str, Any]]
    names: Sequence[str] | None = None

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Join examples.

        Args:
            examples: Rows with a key ``tasks``: a name, or a row of the bank.

        Returns:
            The other collator's batch and ``tasks``, int64 of shape (batch,).

        Raises:
            ConfigError: An example without ``tasks``, or an unknown name.
        """
        if any("tasks" not in example for example in examples):
            raise ConfigError(
                "tasks: every example must have the key 'tasks', got "
                f"{', '.join(examples[0])}. Set remove_unused_columns=False, and check "
                "that the data set has the column."
            )
        rows = [self._find_row(example["tasks"]) for example in examples]
        rest = [
            {key: value for key, value in example.items() if key != "tasks"}
            for example in examples
        ]
        return {**self.collator(rest), "tasks": torch.tensor(rows, dtype=torch.int64)}

    def _find_row(self, task: str | int | Tensor) -> int:
        if self.names is None or not isinstance(task, str):
            return int(task)
        if task not in self.names:
            raise ConfigError(unknown_name("task", task, self.names))
        return list(self.names).index(task)
