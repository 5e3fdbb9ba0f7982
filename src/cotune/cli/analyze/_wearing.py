"""Scores of whole adapters, of any method and rank, worn one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..._adapter import Adapter
from ..._adapter_file import WEIGHTS, read_config, write_adapter
from ..._errors import ConfigError
from .._options import adapter_folder
from ._scorer import cut_rows, find_metric

if TYPE_CHECKING:
    from ...data import Task
    from ...recipes import Recipe
    from ...training import Base


@dataclass(frozen=True)
class Wearer:
    """A base model that puts on adapters and is scored.

    Unlike ``Scorer`` it takes adapters that differ from the run's in rank, layers and
    method: merged and pruned ones.

    Args:
        recipe: How rows are scored.
        base: The base model.
        tasks: What is scored, cut to the rows asked for.
        folders: The adapter folders that are looked at.
    """

    recipe: Recipe
    base: Base
    tasks: tuple[Task, ...]
    folders: tuple[Path, ...]

    def score(self, adapter: Adapter | None) -> float:
        """Return the mean score over the tasks; higher is better.

        Args:
            adapter: What to wear; None scores the base model.
        """
        return fmean(self.score_on(task.name, adapter) for task in self.tasks)

    def score_on(self, task: str, adapter: Adapter | None) -> float:
        """Return the score of one task; higher is better.

        Args:
            task: Its name.
            adapter: As in :meth:`score`.
        """
        from ...data import METRICS
        from ...training import score_task

        (found,) = (one for one in self.tasks if one.name == task)
        model = self._put_on(adapter)
        part, spec = self._parts[task], self.recipe.evaluation
        score, _ = score_task(model, self.base, found, part, spec)
        return score if METRICS[self._metric].higher_is_better else -score

    def fingerprint(self) -> str:
        """Return a digest of everything that scores depend on."""
        digest = hashlib.sha256()
        for folder in self.folders:
            digest.update((folder / WEIGHTS).read_bytes())
        recipe = self.recipe
        for section in (recipe.base, recipe.evaluation, recipe.data.encode):
            digest.update(section.model_dump_json().encode())
        for task in self.tasks:
            digest.update(f"{task.name} {self._metric}".encode())
            rows: Any = getattr(task, self._parts[task.name])
            for row in rows:
                # Where a row lies does not count; generated data move every time.
                said = {name: row[name] for name in row if name != "where"}
                digest.update(json.dumps(said, default=str).encode())
        return digest.hexdigest()

    @cached_property
    def _parts(self) -> Any:
        from ...training import choose_parts

        return choose_parts(self.tasks)

    @cached_property
    def _metric(self) -> str:
        return find_metric(self.tasks)

    @cached_property
    def _worn(self) -> list[Any]:
        # Adapter and model; several tasks in a row ask for the same.
        return [None, self.base.model]

    def _put_on(self, adapter: Adapter | None) -> Any:
        from ..._load import load_adapter

        worn, model = self._worn
        if adapter is worn:
            return model
        plain = model if worn is None else model.unload()
        self._worn[:] = [None, plain]
        if adapter is None:
            return plain
        # By way of a file: PEFT knows how the names in it belong to the model.
        with TemporaryDirectory(prefix="cotune-") as folder:
            write_adapter(adapter, folder)
            self._worn[:] = [adapter, load_adapter(plain, folder).eval()]
        return self._worn[1]


def open_wearer(
    runs: Sequence[Path],
    overrides: Sequence[str],
    *,
    rows: int | None = None,
    tasks: Sequence[str] | None = None,
) -> Wearer:
    """Load the base model and the tasks of runs.

    Args:
        runs: Finished runs on one base model.
        overrides: Changes to their recipes.
        rows: Most rows per task; None takes all.
        tasks: Which tasks; None takes all.

    Returns:
        The wearer, with nothing on.

    Raises:
        ConfigError: Unknown tasks, tasks that come twice, or runs that score in other
            ways or have another base model.
    """
    from ..._errors import unknown_name
    from ...recipes import load_recipe_tasks, read_run_recipe
    from ...training import choose_parts, load_base

    recipes = [read_run_recipe(run, overrides) for run in runs]
    _check_alike(runs, recipes)
    found = [task for recipe in recipes for task in load_recipe_tasks(recipe)]
    known = [task.name for task in found]
    if len(set(known)) < len(known):
        raise ConfigError(
            f"analyze: every task must come once, got {', '.join(known)}. Pass one "
            "run per task."
        )
    for name in tasks or ():
        if name not in known:
            raise ConfigError(unknown_name("task", name, known))
    chosen = [task for task in found if not tasks or task.name in tasks]
    parts = choose_parts(chosen)
    cut = tuple(cut_rows(task, parts[task.name], rows) for task in chosen)
    folders = tuple(adapter_folder(run) for run in runs)
    listed = read_config(folders[0]).get("tasks") if len(runs) == 1 else None
    base = load_base(
        recipes[0].base,
        found,
        encode=recipes[0].data.encode,
        names=tuple(listed or known),
    )
    return Wearer(recipes[0], base, cut, folders)


def _check_alike(runs: Sequence[Path], recipes: Sequence[Recipe]) -> None:
    first = recipes[0]
    for run, recipe in zip(runs, recipes, strict=True):
        for what, same in (
            ("base", recipe.base == first.base),
            ("data.encode", recipe.data.encode == first.data.encode),
        ):
            if not same:
                raise ConfigError(
                    f"analyze: all runs must have one section {what}, got another in "
                    f"{run} than in {runs[0]}."
                )
