"""Merging tables: how good one adapter for several tasks is on each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache as remember
from statistics import fmean
from typing import Any, ClassVar

import torch

from .._adapter import Adapter
from .._errors import ConfigError
from ..operators.merge import MERGE, MergeResult, merge_adapters
from ._cache import EvaluationCache, Progress, memory_cache
from ._result import Result, Row
from ._trial import Trial, check_trials

OWN = "own adapter"
"""Stands for a task's own adapter, where an operator is named."""


@dataclass(frozen=True)
class MergedScore:
    """The score of one merge on one task.

    Args:
        operator: Name in ``MERGE``, or of what is shown beside.
        setting: Its options, as text.
        task: Which task.
        score: How good it is; higher is better.
    """

    operator: str
    setting: str
    task: str
    score: float


@dataclass(frozen=True)
class Merging(Result):
    """Scores of merged adapters on the tasks that went in.

    Args:
        tasks: Names.
        scores: Own adapters first, then what is shown beside, then the merges.
        errors: Merge -> largest relative error of its recompression over the layers.
    """

    tasks: tuple[str, ...]
    scores: tuple[MergedScore, ...]
    errors: Mapping[str, float]
    name: ClassVar[str] = "merging"

    def means(self) -> dict[str, float]:
        """Return operator and setting -> mean score over the tasks."""
        return {title: fmean(found.values()) for title, found in self.table().items()}

    def table(self) -> dict[str, dict[str, float]]:
        """Return operator and setting -> task -> score."""
        found: dict[str, dict[str, float]] = {}
        for one in self.scores:
            title = f"{one.operator} {one.setting}".strip()
            found.setdefault(title, {})[one.task] = one.score
        return found

    def summary(self) -> dict[str, Any]:
        """Return mean, worst task and error of the recompression per operator."""
        return {
            "tasks": self.tasks,
            "means": self.means(),
            "worst": {t: min(found.values()) for t, found in self.table().items()},
            "errors": dict(self.errors),
        }

    def rows(self) -> list[Row]:
        """Return one row per operator and task."""
        return [asdict(one) for one in self.scores]

    def draw(self, axes: Any) -> None:
        """Draw the mean score per operator as bars."""
        means = self.means()
        axes.barh(list(means), list(means.values()))
        axes.invert_yaxis()
        axes.set_xlabel(f"mean score over {len(self.tasks)} tasks")
        axes.set_title("merged adapters")


def all_operators() -> list[Trial]:
    """List every operator of ``MERGE`` with its defaults."""
    return [Trial(name) for name in MERGE]


def merging(
    adapters: Mapping[str, Adapter],
    score: Callable[[str, Adapter], float],
    *,
    trials: Sequence[Trial] | None = None,
    beside: Mapping[str, Callable[[str], float]] | None = None,
    weights: Sequence[float] | None = None,
    rank: int | None = None,
    seed: int = 0,
    cache: EvaluationCache | None = None,
    progress: Progress | None = None,
) -> Merging:
    """Merge the adapters of several tasks in several ways, and score each task.

    Args:
        adapters: Task -> its adapter; two at least. Not changed.
        score: Scores an adapter on a task; higher is better.
        trials: What to try; None takes every operator with its defaults. ``rank`` and
            ``max_error`` among the options are those of ``merge_adapters``.
        beside: Name -> what scores a task without a merged adapter, to show beside:
            the base model, an ensemble.
        weights: One per adapter; None gives 1 / n each.
        rank: Rank of the merged adapters; None takes the largest rank given.
        seed: Of the operators that draw; each starts from it.
        cache: Finished evaluations.
        progress: Told after every evaluation.

    Returns:
        Scores per operator and task.

    Raises:
        ConfigError: Fewer than two adapters, no trial, an unknown operator or option,
            or adapters that do not fit together.

    Source: arXiv:2506.05713 (CoTo), merging over several tasks.
    """
    chosen = all_operators() if trials is None else list(trials)
    check_trials("merging", chosen)
    if len(adapters) < 2:
        raise ConfigError(
            f"merging: at least two adapters are needed, got {list(adapters)}."
        )
    several, errors = list(adapters.values()), dict[str, float]()
    for trial in chosen:
        # One layer is cheap, and shows most mistakes before the first score.
        _merge(_first_layers(several), trial, weights, rank, seed)

    @remember
    def merge(place: int) -> MergeResult:
        return _merge(several, chosen[place], weights, rank, seed)

    walk = _Walk(tuple(adapters), memory_cache(cache), progress)
    walk.total = len(adapters) * (1 + len(beside or {}) + len(chosen))
    walk.all_tasks(Trial(OWN), lambda task: score(task, adapters[task]))
    for name, value in (beside or {}).items():
        walk.all_tasks(Trial(name), value)
    for place, trial in enumerate(chosen):
        walk.all_tasks(
            trial, lambda task, place=place: score(task, merge(place).adapter)
        )
        errors[trial.title] = walk.number(
            f"error of {trial.title}", lambda place=place: merge(place).worst
        )
        # One merged adapter is held at a time.
        merge.cache_clear()
    return Merging(tuple(adapters), tuple(walk.found), errors)


class _Walk:
    """Scores one way after the other, each task once."""

    def __init__(
        self, tasks: tuple[str, ...], cache: EvaluationCache, progress: Progress | None
    ) -> None:
        self.tasks, self.number = tasks, cache.get_or_compute
        self.progress, self.total = progress, 0
        self.found: list[MergedScore] = []

    def all_tasks(self, trial: Trial, score: Callable[[str], float]) -> None:
        """Score every task in one way."""
        for task in self.tasks:
            value = self.number(
                f"{trial.title} on {task}", lambda task=task: score(task)
            )
            one = MergedScore(trial.operator, trial.setting, task, value)
            self.found.append(one)
            if self.progress is not None:
                self.progress(len(self.found), self.total)


def _first_layers(adapters: Sequence[Adapter]) -> list[Adapter]:
    first = next(iter(adapters[0].layers), "")
    return [
        each.with_layers({first: each.layers[first]}) if first in each.layers else each
        for each in adapters
    ]


def _merge(
    adapters: Sequence[Adapter],
    trial: Trial,
    weights: Sequence[float] | None,
    rank: int | None,
    seed: int,
) -> MergeResult:
    options: dict[str, Any] = {"weights": weights, "rank": rank, **trial.options}
    try:
        return merge_adapters(
            adapters,
            method=trial.operator,
            generator=torch.Generator().manual_seed(seed),
            **options,
        )
    except ConfigError as error:
        raise ConfigError(f"merging: {trial.title}: {error}") from error
