"""Scores of a base model that wears an adapter: rows are encoded once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cotune import Adapter
from cotune.data import Batch, Task, build_collator
from cotune.recipes import Recipe
from cotune.training import load_base
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


class Judge:
    """Scores adapters on the test rows of tasks.

    Args:
        recipe: Base model, encoding, batch size.
        tasks: The tasks.
        most_rows: Most test rows per task.
    """

    def __init__(self, recipe: Recipe, tasks: Sequence[Task], most_rows: int) -> None:
        names = tuple(task.name for task in tasks)
        self.base = load_base(
            recipe.base, tasks, encode=recipe.data.encode, names=names
        )
        size = recipe.evaluation.batch_size
        self.batches = {
            task.name: list(self._prepare(task, size, most_rows)) for task in tasks
        }
        self._known: dict[tuple[str, int], float] = {}
        self._held: list[Adapter] = []

    def accuracy(self, task: str, adapter: Adapter | None = None) -> float:
        """Score the base model with an adapter, or as it is; each once."""
        key = task, id(adapter)
        if key not in self._known:
            self._known[key] = self.answer(task, adapter).accuracy
            if adapter is not None:
                # Held, so that no other adapter gets its id.
                self._held.append(adapter)
        return self._known[key]

    @torch.no_grad()
    def answer(self, task: str, adapter: Adapter | None = None) -> Answers:
        """Compute the logits of all options of all test rows."""
        with self._wearing(adapter):
            parts = [self._logits(batch) for batch in self.batches[task]]
        most = max(logits.shape[1] for logits, _ in parts)
        filled = [
            torch.nn.functional.pad(
                logits, (0, most - logits.shape[1]), value=float("-inf")
            )
            for logits, _ in parts
        ]
        return Answers(torch.cat(filled), torch.cat([right for _, right in parts]))

    def _prepare(self, task: Task, size: int, most_rows: int) -> Iterator[Batch]:
        form = self.base.form_to_score(task)
        encoded = list(self.base.encode(task, "test", form))[:most_rows]
        encoded.sort(key=lambda row: len(str(row["input_ids"])))
        collate = build_collator(form, self.base.tokenizer)
        for start in range(0, len(encoded), size):
            yield collate(encoded[start : start + size])

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if "option_index" in batch:
            return match_options(self.base.model, batch), batch["labels"]
        losses, _ = _answer_losses(self.base.model, batch)
        owner, right = batch["option_row"], batch["answer"]
        counts = owner.bincount(minlength=len(right))
        place = torch.cat([torch.arange(int(count)) for count in counts])
        logits = torch.full((len(right), int(counts.max())), float("-inf"))
        logits[owner, place] = -losses
        return logits, right

    @contextmanager
    def _wearing(self, adapter: Adapter | None) -> Iterator[None]:
        """Add updates to the weights, and put the very same weights back."""
        names = [] if adapter is None else list(adapter.layers)
        layers = {name: self.base.model.get_submodule(name) for name in names}
        kept = {name: layer.weight.data for name, layer in layers.items()}
        try:
            for name, layer in layers.items():
                delta = adapter.update(name).delta() if adapter is not None else 0
                layer.weight.data = kept[name] + delta
            yield
        finally:
            for name, layer in layers.items():
                layer.weight.data = kept[name]
