"""What an evaluation found, per task and over all tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from .._errors import ConfigError, unknown_name
from .._files import as_json, write_json


@dataclass(frozen=True)
class TaskScore:
    """The scores of one task.

    Args:
        task: Name of the task.
        metric: Name of its metric.
        higher_is_better: Direction of the metric.
        part: Which rows were scored: ``test`` or ``validation``.
        rows: How many.
        base: Score of the untouched base model; None if it was not scored.
        adapter: Score of the model with its adapter; None if there is no adapter.
        single: Score of a model trained on this task alone, if it was given.
    """

    task: str
    metric: str
    higher_is_better: bool
    part: str
    rows: int
    base: float | None
    adapter: float | None
    single: float | None = None


@dataclass(frozen=True)
class Summary:
    """Scores of several tasks that have the same metric.

    Args:
        mean: Mean over the tasks.
        worst: Score of the worst task.
        worst_task: Which one that is.
        spread: Standard deviation over the tasks (of the population, not a sample).
    """

    mean: float
    worst: float
    worst_task: str
    spread: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of all tasks.

    Args:
        tasks: One score per task, in the order of the run.
    """

    tasks: tuple[TaskScore, ...]

    def summaries(self, of: str = "adapter") -> dict[str, Summary]:
        """Summarise, apart for each metric: accuracies and losses are never mixed.

        Args:
            of: ``adapter``, ``base`` or ``single``.

        Returns:
            Metric -> summary, for metrics of which every task has a score.
        """
        groups: dict[str, list[TaskScore]] = {}
        for score in self.tasks:
            groups.setdefault(score.metric, []).append(score)
        return {
            metric: _summarise({s.task: getattr(s, of) for s in group}, group[0])
            for metric, group in groups.items()
            if all(getattr(score, of) is not None for score in group)
        }

    def dm_percent(self, against: str = "single") -> float | None:
        """Compute the multi-task change dm%; lower is better.

        dm% = 100/K sum_k (-1)^l_k (M_k - S_k) / S_k, where l_k = 1 if a higher score of
        task k is better, M_k is the adapter's score, S_k the reference.

        Args:
            against: Reference: ``single`` (training on each task alone) or ``base``.

        Returns:
            The change in percent; None if there is no task, a score is missing, or a
            reference is 0.

        Source: arXiv:1904.08918, eq. 4, with the sign as in FedDPA and ALoRA: below 0
        is a gain.
        """
        changes: list[float] = []
        for score in self.tasks:
            reference = getattr(score, against)
            if score.adapter is None or not reference:
                return None
            sign = -1.0 if score.higher_is_better else 1.0
            changes.append(sign * (score.adapter - reference) / reference)
        return 100 * fmean(changes) if changes else None

    def with_single(self, single: Mapping[str, float]) -> Evaluation:
        """Add the scores of single-task training, for dm%.

        Args:
            single: Task -> score in the task's own metric; for all tasks.

        Returns:
            A new evaluation.

        Raises:
            ConfigError: A task is missing, or is not in this evaluation.
        """
        names = [score.task for score in self.tasks]
        for name in single:
            if name not in names:
                raise ConfigError(f"single: {unknown_name('task', name, names)}")
        missing = [name for name in names if name not in single]
        if missing:
            raise ConfigError(
                f"single: must have a score of every task, got none for "
                f"{', '.join(missing)}. Evaluate a model trained on each alone."
            )
        scores = (replace(score, single=single[score.task]) for score in self.tasks)
        return Evaluation(tuple(scores))

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON; scores that are not finite become None."""
        found: dict[str, Any] = {
            "tasks": {score.task: asdict(score) for score in self.tasks},
            "summary": {
                of: {metric: asdict(s) for metric, s in self.summaries(of).items()}
                for of in ("base", "adapter", "single")
            },
            "dm_percent": {
                "single": self.dm_percent("single"),
                "base": self.dm_percent("base"),
            },
        }
        return as_json(found)

    def save(self, path: Path) -> None:
        """Write ``metrics.json``, in one move.

        Args:
            path: The file.
        """
        write_json(path, self.as_dict())


def _summarise(scores: Mapping[str, float], one: TaskScore) -> Summary:
    choose = min if one.higher_is_better else max
    worst = choose(scores, key=lambda task: scores[task])
    mean = fmean(scores.values())
    # Not statistics.pstdev: it cannot take NaN, which a broken run may give.
    spread = math.sqrt(fmean((score - mean) ** 2 for score in scores.values()))
    return Summary(mean, scores[worst], worst, spread)
