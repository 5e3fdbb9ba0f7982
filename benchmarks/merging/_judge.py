"""Scores of a base model that wears an adapter: rows are encoded once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.answers import Answers, answer, prepare
from cotune import Adapter
from cotune.data import Task
from cotune.recipes import Recipe
from cotune.training import load_base


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
            task.name: prepare(self.base, task, size, most_rows) for task in tasks
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

    def answer(self, task: str, adapter: Adapter | None = None) -> Answers:
        """Compute the logits of all options of all test rows."""
        with self._wearing(adapter):
            return answer(self.base.model, self.batches[task])

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
