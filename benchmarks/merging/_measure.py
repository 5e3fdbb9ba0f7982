"""Everything that is measured on one arm, cached evaluation by evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from benchmarks.answers import Answers
from benchmarks.merging._judge import Judge
from benchmarks.merging._train import Question, Say, Trained
from cotune.analysis import (
    Connectivity,
    EvaluationCache,
    Merging,
    PruneTrial,
    Pruning,
    Trial,
    connectivity,
    merging,
    pruning,
)
from cotune.operators.merge import MERGE, ensemble

PRUNED = [
    PruneTrial("every_other", {"first": 0}, along="first"),
    PruneTrial("every_other", {"first": 1}, along="first"),
    *(PruneTrial("magnitude", {"sparsity": s}) for s in (0.5, 0.7, 0.9)),
]
GRID = (0.0, 0.5, 1.0)
SUM = 0.3
"""Weight of each adapter in a sum instead of a mean, as in task arithmetic."""


@dataclass(frozen=True)
class Measured:
    """All numbers of one arm.

    Args:
        lines: Task -> scores between its two seeds.
        pruned: (task, seed) -> scores of its pruned adapter.
        merged: Seed -> scores of all tasks' adapters merged into one.
    """

    lines: Mapping[str, Connectivity]
    pruned: Mapping[tuple[str, int], Pruning]
    merged: Mapping[int, Merging]


def measure(
    arm: str, question: Question, trained: Trained, judge: Judge, say: Say
) -> Measured:
    """Score what training left of one arm.

    Args:
        arm: Which one.
        question: What was trained.
        trained: The adapters.
        judge: Scores them.
        say: Told a line after every part.
    """
    bench = _Bench(arm, question, trained, judge)
    lines, pruned, merged = {}, {}, {}
    for task in bench.tasks:
        lines[task] = bench.connect(task)
        for seed in question.seeds:
            pruned[task, seed] = bench.prune(task, seed)
        say(f"{arm}, {task}: seeds merged, each pruned")
    for seed in question.merged_seeds:
        merged[seed] = bench.merge_tasks(seed)
        say(f"{arm}, seed {seed}: tasks merged")
    return Measured(lines, pruned, merged)


def merge_trials(count: int) -> list[Trial]:
    """List what is tried on ``count`` tasks: all operators, and sums instead of means.

    ``mix`` with a bound on the error in place of a rank is exact.
    """
    summed = [Trial(name, {"weights": [SUM] * count}) for name in ("fuse", "mix")]
    exact = {"weights": [SUM] * count, "max_error": 1e-6}
    return [*map(Trial, MERGE), *summed, Trial("mix", exact)]


class _Bench:
    """One arm with its cache."""

    def __init__(
        self, arm: str, question: Question, trained: Trained, judge: Judge
    ) -> None:
        self.arm, self.question, self.judge = arm, question, judge
        self.adapters = trained.adapters
        self.tasks = [task.name for task in trained.tasks]
        said = f"{question.recipe.model_dump_json()} {question.most_rows}"
        mark = hashlib.sha256(f"{said} {trained.rates[arm]}".encode()).hexdigest()
        self.mark = mark
        self.folder = Path(question.recipe.output_dir) / "scores"

    def cache(self, name: str) -> EvaluationCache:
        path = self.folder / f"{self.arm.lower()}-{name}.jsonl"
        return EvaluationCache(path, fingerprint=self.mark)

    def prune(self, task: str, seed: int) -> Pruning:
        return pruning(
            self.adapters[self.arm, task, seed],
            partial(self.judge.accuracy, task),
            trials=PRUNED,
            base=partial(self.judge.accuracy, task),
            cache=self.cache(f"prune-{task}-{seed}"),
        )

    def connect(self, task: str) -> Connectivity:
        seeds = self.question.seeds
        return connectivity(
            {f"seed {seed}": self.adapters[self.arm, task, seed] for seed in seeds},
            partial(self.judge.accuracy, task),
            grid=GRID,
            cache=self.cache(f"line-{task}"),
        )

    def merge_tasks(self, seed: int) -> Merging:
        own = {task: self.adapters[self.arm, task, seed] for task in self.tasks}
        beside: dict[str, Callable[[str], float]] = {"base model": self.judge.accuracy}

        @cache
        def answers(task: str) -> list[Answers]:
            return [self.judge.answer(task, adapter) for adapter in own.values()]

        def together(task: str) -> float:
            found = answers(task)
            logits = ensemble(each.logits for each in found)
            return Answers(logits, found[0].right).accuracy

        if seed == self.question.merged_seeds[0]:
            # As many passes as there are pairs of tasks, so for one seed only.
            beside["ensemble"] = together
        return merging(
            own,
            self.judge.accuracy,
            trials=merge_trials(len(own)),
            beside=beside,
            cache=self.cache(f"merge-{seed}"),
        )
