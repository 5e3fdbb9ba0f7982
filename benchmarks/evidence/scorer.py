"""Score adapter values, merged or pruned, on the test rows of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer

from benchmarks.answers import Answers, answer, prepare
from benchmarks.evidence.cells import Rows, score_rows
from cotune import Adapter, load_adapter, write_adapter
from cotune.data import Task
from cotune.operators.merge import ensemble
from cotune.recipes import OpenedBase, Recipe, load_recipe_tasks, open_base
from cotune.schedules import group_layers
from cotune.training import score_task

_ADAPTED = "base_model.model."


class Scorer:
    """One base model and its test rows, for many adapters.

    Args:
        recipe: Names the base, the tasks and their rows.
        rows: Most rows per task; None takes all.
        trained: Score the rows that the recipe trains on, not the test rows.
    """

    def __init__(
        self, recipe: Recipe, rows: int | None, *, trained: bool = False
    ) -> None:
        tasks = load_recipe_tasks(recipe)
        if trained:
            tasks = [replace(task, test=task.train) for task in tasks]
        self.tasks = [_cut(task, rows) for task in tasks]
        self._opened = open_base(recipe, self.tasks)

    def rows(self, adapter: Adapter | None) -> Rows:
        """Return task -> score of every row; None scores the base model."""
        with self._with(adapter) as opened:
            return {task.name: score_rows(opened, task) for task in self.tasks}

    def mean(self, adapter: Adapter | None) -> float:
        """Return the mean score over the tasks."""
        return fmean(fmean(rows) for rows in self.rows(adapter).values())

    def ensemble(self, adapters: Sequence[Adapter]) -> float:
        """Return the mean accuracy over the tasks of averaged logits of options."""
        said = [self._answers(adapter) for adapter in adapters]
        found: list[float] = []
        for parts in zip(*said, strict=True):
            logits = ensemble(part.logits for part in parts)
            found.append(Answers(logits, parts[0].right).accuracy)
        return fmean(found)

    def blocks(self, adapter: Adapter) -> Mapping[str, tuple[str, ...]]:
        """Return block -> names of its layers, from input to output."""
        return {group.name: group.layers for group in group_layers(adapter.layers)}

    @contextmanager
    def switching(self, adapter: Adapter) -> Iterator[Switching]:
        """Hold an adapter, to score it with some of its layers off."""
        with self._with(adapter) as opened:
            yield Switching(opened, self.tasks)

    def _answers(self, adapter: Adapter) -> list[Answers]:
        size = self._opened.recipe.evaluation.batch_size
        with self._with(adapter) as opened:
            batches = [prepare(opened.base, task, size, None) for task in self.tasks]
            return [answer(opened.model, each) for each in batches]

    @contextmanager
    def _with(self, adapter: Adapter | None) -> Iterator[OpenedBase]:
        if adapter is None:
            yield self._opened
            return
        with TemporaryDirectory(prefix="cotune-") as folder:
            write_adapter(adapter, Path(folder))
            model = load_adapter(self._opened.model, folder).eval()
        opened = replace(self._opened, model=model)
        try:
            yield opened
        finally:
            model.unload()


class Switching:
    """A model with an adapter whose layers can be switched off.

    Args:
        opened: The model.
        tasks: With their test rows.
    """

    def __init__(self, opened: OpenedBase, tasks: list[Task]) -> None:
        self._opened, self._tasks = opened, tasks
        self._known: dict[frozenset[str], tuple[float, float]] = {}
        self._layers: dict[str, BaseTunerLayer] = {
            name.removeprefix(_ADAPTED): module
            for name, module in opened.model.named_modules()
            if isinstance(module, BaseTunerLayer)
        }

    def accuracy(self, on: Collection[str]) -> float:
        """Return the mean score with exactly these layers on."""
        return self._measure(frozenset(on))[0]

    def minus_loss(self, on: Collection[str]) -> float:
        """Return minus the mean loss in nats with exactly these layers on."""
        return -self._measure(frozenset(on))[1]

    def _measure(self, on: frozenset[str]) -> tuple[float, float]:
        if on not in self._known:
            with self._only(on):
                found = [self._score(task) for task in self._tasks]
            scores, losses = zip(*found, strict=True)
            self._known[on] = fmean(scores), fmean(losses)
        return self._known[on]

    def _score(self, task: Task) -> tuple[float, float]:
        score, loss = score_task(
            self._opened.model,
            self._opened.base,
            task,
            "test",
            self._opened.recipe.evaluation,
        )
        assert loss is not None
        return score, loss

    @contextmanager
    def _only(self, on: frozenset[str]) -> Iterator[None]:
        off = [layer for name, layer in self._layers.items() if name not in on]
        for layer in off:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in off:
                layer.enable_adapters(True)


def _cut(task: Task, rows: int | None) -> Task:
    assert task.test is not None
    if rows is None or rows >= len(task.test):
        return task
    chosen: dict[str, Any] = {"test": task.test.select(range(rows))}
    return replace(task, **chosen)
