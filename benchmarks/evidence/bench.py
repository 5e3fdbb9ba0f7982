"""The grid: arms x learning rates x seeds on one setting, tuned alike, paired by seed.

Every arm chooses its learning rate from the same values, on validation rows of the
first seed. With the chosen rate it is trained on all seeds; only these runs see test
rows. Seeds decide starts, row order, and which training rows are drawn.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from benchmarks.evidence import cells
from benchmarks.evidence.arms import SEPARATE
from benchmarks.evidence.cells import Cell, Rows
from benchmarks.evidence.parts import Part, part_from
from cotune import ConfigError
from cotune.data import Task
from cotune.recipes import (
    Arm,
    Difference,
    Recipe,
    check_recipe,
    list_recipe_tasks,
    load_recipe_tasks,
    override,
    paired_difference,
    read_recipe,
)

HERE = Path(__file__).parent
SETTINGS = HERE / "settings"


@dataclass(frozen=True)
class Profile:
    """How much is run.

    Args:
        name: ``quick`` or ``full``.
        seeds: The first one also chooses the learning rates.
        rates: Learning rates that every arm chooses from.
        scorings: Test rows per task in experiments that score many adapters; None
            takes all.
    """

    name: str
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    scorings: int | None


def read_profile(name: str) -> Profile:
    """Read a profile of ``profiles.yaml``."""
    known = yaml.safe_load((HERE / "profiles.yaml").read_text(encoding="utf-8"))
    if name not in known:
        raise ConfigError(
            f"--profile: must be one of {', '.join(known)}, got {name!r}. Choose one."
        )
    found = known[name]
    rates = tuple(float(rate) for rate in found["rates"])
    return Profile(name, tuple(found["seeds"]), rates, found["scorings"])


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm that were tested.

    Args:
        arm: What differs from the other arms.
        rate: The chosen learning rate.
        tried: Learning rate -> score on validation rows of the first seed.
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


class Bench:
    """Runs arms on settings, through the cache.

    Args:
        profile: How much is run.
        cache: Folder of finished runs, shared by all lines.
        options: What a line's ``config.yaml`` says about the profile.
        workers: How many runs at a time.
        report: Told after every run.
    """

    def __init__(
        self,
        profile: Profile,
        cache: Path,
        *,
        options: Mapping[str, Any] | None = None,
        workers: int = 1,
        report: Callable[[str], None] = print,
    ) -> None:
        self.profile, self.cache, self.options = profile, cache, dict(options or {})
        self.workers, self.report = workers, report
        self.seen: list[Runs] = []

    def recipe(self, setting: str, *changes: str) -> Recipe:
        """Read the recipe of a setting, with the folder of the data filled in."""
        path = SETTINGS / self.profile.name / f"{setting}.yaml"
        recipe = read_recipe(path, changes)
        if recipe.data.root == "embedded":
            return recipe
        root = os.environ.get("COTUNE_DATA") or HERE.parents[2] / "shared" / "data"
        data = recipe.data.model_copy(update={"root": str(root)})
        return recipe.model_copy(update={"data": data})

    def tasks(self, setting: str) -> list[str]:
        """Return the names of the tasks of a setting."""
        return [task.name for task in list_recipe_tasks(self.recipe(setting))]

    def run(
        self,
        setting: str,
        arms: Sequence[Arm],
        *,
        changes: Sequence[str] = (),
        rates: Sequence[float] | None = None,
    ) -> Runs:
        """Tune, train and test arms on a setting.

        Args:
            setting: Name of a file in ``settings/<profile>/``.
            arms: The methods.
            changes: Changes to the recipe, for all arms.
            rates: Learning rates; None: those of the profile.

        Returns:
            The tested runs.
        """
        common = self.recipe(setting, *changes)
        tasks = load_recipe_tasks(common)
        chosen = self._tune(common, arms, rates or self.profile.rates)
        recipes = {
            arm.name: [
                self._cell(common, arm, chosen[arm.name][0], seed)
                for seed in self.profile.seeds
            ]
            for arm in arms
        }
        jobs = [one for group in recipes.values() for one in group]
        trained = iter(self._all(jobs, cells.train))
        tested = iter(self._all(jobs, cells.score))
        found = {
            arm.name: ArmRuns(
                arm,
                *chosen[arm.name],
                tuple(recipes[arm.name]),
                tuple(next(trained) for _ in recipes[arm.name]),
                tuple(next(tested) for _ in recipes[arm.name]),
            )
            for arm in arms
        }
        runs = Runs(
            setting + "".join(f" [{change}]" for change in changes),
            common,
            found,
            cells.score_base(common, self.cache),
            fmean(_guess(task) for task in tasks),
        )
        self.seen.append(runs)
        return runs

    def _tune(
        self, common: Recipe, arms: Sequence[Arm], rates: Sequence[float]
    ) -> dict[str, tuple[float, dict[float, float]]]:
        """Return, per arm, the chosen rate and what each rate scored."""
        first, grid = self.profile.seeds[0], sorted(set(rates))
        jobs = [self._cell(common, arm, rate, first) for arm in arms for rate in grid]
        found = iter(self._all(jobs, cells.train))
        chosen = {}
        for arm in arms:
            tried = {rate: _need(next(found).validation) for rate in grid}
            # Of equally good rates the lowest.
            best = max(grid, key=lambda rate: (tried[rate], -rate))
            chosen[arm.name] = (best, tried)
        return chosen

    def _cell(self, common: Recipe, arm: Arm, rate: float, seed: int) -> Recipe:
        changes = [
            *arm.overrides,
            f"training.learning_rate={rate!r}",
            f"training.seed={seed}",
            "training.disable_tqdm=true",
        ]
        if seed != self.profile.seeds[0]:
            # Nothing is chosen with these rows, so no time is spent on scoring them.
            changes.append("data.validation_share=0")
        recipe = check_recipe(override(common.model_dump(mode="json"), changes))
        return cells.place(recipe, self.cache)

    def _all(self, jobs: Sequence[Recipe], work: Callable[[Recipe], Any]) -> list[Any]:
        return cells.run_all(jobs, work, workers=self.workers, report=self.report)


def separate_arm(recipe: Recipe, tasks: int, *more: str, name: str = SEPARATE) -> Arm:
    """Return an adapter per task, with as many rows and steps as in a joint run."""
    rows = max(1, recipe.training.per_device_train_batch_size // tasks)
    fewer = f"training.per_device_train_batch_size={rows}"
    return Arm(name, ("separate=true", fewer, *more))


def _need(validation: float | None) -> float:
    if validation is None:
        raise ConfigError(
            "setting: must have validation rows to choose a learning rate, got none. "
            "Set data.validation_share."
        )
    return validation


def _guess(task: Task) -> float:
    """Return what one answer to all, or none in particular, would score."""
    assert task.test is not None
    usual, _ = Counter(task.train["answer"]).most_common(1)[0]
    always = fmean(answer == usual for answer in task.test["answer"])
    return max(always, fmean(1 / len(several) for several in task.test["options"]))
