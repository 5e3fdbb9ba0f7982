"""Runs of a comparison, one after the other or in several processes of this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import lru_cache
from types import TracebackType

from .._errors import ConfigError
from ..data import Task
from ._cells import test_cell, train_cell
from ._comparison import Cell
from ._paired import Rows
from ._read import check_recipe
from ._recipe import Recipe
from ._tasks import load_recipe_tasks

TasksOf = Callable[[Recipe], Sequence[Task]]


class Workers:
    """Trains and tests runs; use it in a ``with`` block.

    Args:
        count: How many processes, at least 1. One is this process; more share the
            cores, and read their rows themselves.
        tasks_of: Recipe -> tasks with their rows, in this process.

    Raises:
        ConfigError: Several processes under torchrun, which has its own.
    """

    def __init__(self, count: int, tasks_of: TasksOf) -> None:
        if count > 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError(
                f"workers: must be 1 under torchrun, got {count}. Leave it out."
            )
        self._count = count
        self._tasks_of = tasks_of
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self._count > 1:
            from multiprocessing import get_context

            import torch

            share = min(torch.get_num_threads(), (os.cpu_count() or 1) // self._count)
            # Forking would copy locks that torch's threads may hold.
            context = get_context("spawn")
            threads = (max(1, share),)
            self._pool = ProcessPoolExecutor(self._count, context, _begin, threads)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            # After an error, what has not begun is not worth waiting for.
            self._pool.shutdown(cancel_futures=error is not None)

    def train(self, jobs: Sequence[tuple[str, Recipe]]) -> Iterator[tuple[int, Cell]]:
        """Train runs.

        Args:
            jobs: Name of the arm and recipe, per run; begun in this order.

        Yields:
            Place of the job and its run, as they are finished.
        """
        if self._pool is None:
            for place, (arm, recipe) in enumerate(jobs):
                yield place, train_cell(arm, recipe, self._tasks_of(recipe))
            return
        futures = {
            self._pool.submit(_train, arm, recipe.model_dump_json()): place
            for place, (arm, recipe) in enumerate(jobs)
        }
        for future in as_completed(futures):
            yield futures[future], Cell(**json.loads(future.result()))

    def test(self, recipes: Sequence[Recipe]) -> list[Rows]:
        """Score finished runs on test rows.

        Args:
            recipes: Of the runs.

        Returns:
            Task -> score of every row, per run.
        """
        if self._pool is None:
            return [test_cell(recipe, self._tasks_of(recipe)) for recipe in recipes]
        found = self._pool.map(_test, [recipe.model_dump_json() for recipe in recipes])
        return [json.loads(rows) for rows in found]


def _begin(threads: int) -> None:
    """Give a worker its share of the cores."""
    import torch

    torch.set_num_threads(threads)


# Texts go in and out of a worker, as they would through files.
def _train(arm: str, recipe: str) -> str:
    read = check_recipe(json.loads(recipe))
    return json.dumps(asdict(train_cell(arm, read, _tasks_of(read))))


def _test(recipe: str) -> str:
    read = check_recipe(json.loads(recipe))
    return json.dumps(test_cell(read, _tasks_of(read)))


def _tasks_of(recipe: Recipe) -> Sequence[Task]:
    return _load(recipe.data.model_dump_json(), recipe.training.seed)


@lru_cache(maxsize=2)
def _load(data: str, seed: int) -> Sequence[Task]:
    """Read rows once per worker: the runs of a comparison share them."""
    values = {"data": json.loads(data), "training": {"seed": seed}}
    return load_recipe_tasks(check_recipe(values))
