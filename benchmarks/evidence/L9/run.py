"""Whose likeness comes from the start, and whose from the task: A's or B's?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import fmean

from benchmarks.evidence.arms import SEPARATE
from benchmarks.evidence.bench import ArmRuns, Bench, separate_arm
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import part_of
from cotune import read_adapter
from cotune.analysis import Similarity, similarity

Which = Callable[[bool, bool], bool]
"""Takes a pair of adapters? Told whether seed and task are the same."""


def measure(bench: Bench) -> Measured:
    """Compare the factors of LoRAs that were trained alone, one per task and seed."""
    setting = bench.options["setting"]
    arm = separate_arm(bench.recipe(setting), len(bench.tasks(setting)))
    runs = bench.run(setting, [arm]).arms[SEPARATE]
    A, B = (Likeness(runs, factor) for factor in "AB")
    equal, other = A.by_seed(_equal_seed), A.by_seed(_other_seed)
    parts = [
        part_of("likeness of A: equal seed, other task", equal, 0.5),
        part_of("likeness of A: other seed, same task", other, 0.1, less=True),
        part_of(
            "likeness of B, other seed: same task - other task",
            B.by_seed(_other_seed),
            B.by_seed(_nothing_same),
        ),
        part_of(
            "likeness at equal seed, other task: A - B",
            equal,
            B.by_seed(_equal_seed),
            counts=False,
        ),
    ]
    levels = {"A": A.found.random_level, "B": B.found.random_level}
    return Measured(parts, {"random_level": levels})


class Likeness:
    """Likeness of one factor between all runs of one adapter per task.

    Args:
        runs: Per seed, an adapter per task.
        factor: ``A`` or ``B``.
    """

    def __init__(self, runs: ArmRuns, factor: str) -> None:
        adapters = {
            (seed, task): read_adapter(Path(recipe.output_dir) / task / "adapter")
            for seed, recipe in enumerate(runs.recipes)
            for task in runs.rows[seed]
        }
        self._keys = {f"{seed} {task}": (seed, task) for seed, task in adapters}
        named = {f"{seed} {task}": one for (seed, task), one in adapters.items()}
        self.found: Similarity = similarity(named, factor=factor)
        matrix = self.found.matrix()
        self._pairs = [
            (self._keys[one], self._keys[two], matrix[i][j])
            for (i, one), (j, two) in combinations(enumerate(self.found.names), 2)
        ]

    def by_seed(self, which: Which) -> list[float]:
        """Return, per seed, the mean likeness of the pairs that it takes part in."""
        seeds = dict.fromkeys(seed for seed, _ in self._keys.values())
        return [
            fmean(
                value
                for one, two, value in self._pairs
                if seed in (one[0], two[0])
                and which(one[0] == two[0], one[1] == two[1])
            )
            for seed in seeds
        ]


def _equal_seed(same_seed: bool, same_task: bool) -> bool:
    return same_seed and not same_task


def _other_seed(same_seed: bool, same_task: bool) -> bool:
    return same_task and not same_seed


def _nothing_same(same_seed: bool, same_task: bool) -> bool:
    return not same_seed and not same_task


if __name__ == "__main__":
    main(__file__, measure)
