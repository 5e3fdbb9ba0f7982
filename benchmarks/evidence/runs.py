"""What came out: the tested runs of every arm on one setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmarks.evidence.cells import Cell, Rows
from benchmarks.evidence.parts import Part, part_from
from cotune.recipes import Arm, Difference, Recipe, paired_difference


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm that were tested.

    Args:
        arm: What differs from the other arms.
        rate: The chosen learning rate.
        tried: Learning rate -> mean score on validation rows of the tuning seeds.
        recipes: Per seed, with the chosen rate.
        cells: Per seed.
        rows: Per seed, test rows.
    """

    arm: Arm
    rate: float
    tried: Mapping[float, float]
    recipes: tuple[Recipe, ...]
    cells: tuple[Cell, ...]
    rows: tuple[Rows, ...]

    @property
    def scores(self) -> list[dict[str, float]]:
        """Return task -> score, per seed."""
        return [{t: fmean(r) for t, r in rows.items()} for rows in self.rows]

    @property
    def means(self) -> list[float]:
        """Return the mean over tasks, per seed."""
        return [fmean(one.values()) for one in self.scores]

    @property
    def worsts(self) -> list[float]:
        """Return the score of the worst task, per seed."""
        return [min(one.values()) for one in self.scores]

    @property
    def is_at_edge(self) -> bool:
        """Whether the chosen rate is the lowest or highest of the grid."""
        return self.rate in (min(self.tried), max(self.tried))


@dataclass(frozen=True)
class Runs:
    """All arms on one setting.

    Args:
        setting: Its name.
        recipe: What the arms have in common.
        arms: Name -> runs.
        base: Test rows of the untouched base model.
        chance: Mean score of guessing: of the most frequent answer of the training
            rows, or of any option, whichever is better.
    """

    setting: str
    recipe: Recipe
    arms: Mapping[str, ArmRuns]
    base: Rows
    chance: float

    def difference(self, ours: str, theirs: str) -> Difference:
        """Return how much one arm scores above another, over rows and seeds."""
        return paired_difference(self.arms[ours].rows, self.arms[theirs].rows)

    def part(self, what: str, ours: str, theirs: str, *, counts: bool = True) -> Part:
        """Compare the mean test score of two arms."""
        gap = self.difference(ours, theirs)
        value, reference = (fmean(self.arms[name].means) for name in (ours, theirs))
        chance = self.is_at_chance(ours, theirs)
        return part_from(what, value, reference, gap, at_chance=chance, counts=counts)

    def is_at_chance(self, *names: str) -> bool:
        """Whether none of these arms can be told from guessing."""
        return not any(self._beats_chance(name) for name in names)

    def _beats_chance(self, name: str) -> bool:
        rows = self.arms[name].rows
        guessed = [
            {task: [self.chance] * len(one) for task, one in seed.items()}
            for seed in rows
        ]
        return paired_difference(rows, guessed).low > 0
