"""The grid: arms x learning rates x seeds on one setting, tuned alike, paired by seed.

Every arm chooses its learning rate from the same values, by the mean score on
validation rows over the first seeds: one of them, or as many as ``tuning_seeds`` of the
profile or of the line says. With the chosen rate it is trained on all seeds; only these
runs see test rows. Seeds decide starts, row order, and which training rows are drawn.
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

from benchmarks.evidence import cells, users
from benchmarks.evidence.arms import SEPARATE
from benchmarks.evidence.runs import ArmRuns, Runs
from cotune import ConfigError
from cotune.data import Task
from cotune.recipes import (
    Arm,
    Recipe,
    check_recipe,
    list_recipe_tasks,
    load_recipe_tasks,
    override,
    read_recipe,
)

HERE = Path(__file__).parent
SETTINGS = HERE / "settings"


@dataclass(frozen=True)
class Profile:
    """How much is run.

    Args:
        name: ``quick`` or ``full``.
        seeds: The first ones also choose the learning rates.
        rates: Learning rates that every arm chooses from. A line may set its own under
            the same name.
        scorings: Test rows per task in experiments that score many adapters; None
            takes all.
        tuning_seeds: How many seeds choose the rate, at least 1, at most all. A line
            may set its own number under the same name.
    """

    name: str
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    scorings: int | None
    tuning_seeds: int = 1


def read_profile(name: str) -> Profile:
    """Read a profile of ``profiles.yaml``."""
    known = yaml.safe_load((HERE / "profiles.yaml").read_text(encoding="utf-8"))
    if name not in known:
        raise ConfigError(
            f"--profile: must be one of {', '.join(known)}, got {name!r}. Choose one."
        )
    found = known[name]
    rates = tuple(float(rate) for rate in found["rates"])
    seeds, scorings, tuning = (
        found[key] for key in ("seeds", "scorings", "tuning_seeds")
    )
    return Profile(name, tuple(seeds), rates, scorings, tuning)


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
        self.tuning_seeds = self._read_tuning_seeds()
        self.rates = self._read_rates()

    def _read_tuning_seeds(self) -> tuple[int, ...]:
        """Return the seeds that choose the learning rates."""
        seeds = self.profile.seeds
        count = self.options.get("tuning_seeds", self.profile.tuning_seeds)
        if not isinstance(count, int) or not 1 <= count <= len(seeds):
            raise ConfigError(
                f"tuning_seeds: must be a whole number from 1 to {len(seeds)}, got "
                f"{count!r}. Correct the line or the profile."
            )
        return seeds[:count]

    def _read_rates(self) -> tuple[float, ...]:
        """Return the learning rates that every arm chooses from."""
        rates = self.options.get("rates", self.profile.rates)
        if not rates or not all(isinstance(rate, float) and rate > 0 for rate in rates):
            raise ConfigError(
                f"rates: must be one or more decimal numbers above 0, got {rates!r}. "
                "Write 1.0e-4, not 1e-4, which YAML reads as a word."
            )
        return tuple(rates)

    def recipe(self, setting: str, *changes: str) -> Recipe:
        """Read the recipe of a setting, with the folder of the data filled in."""
        path = SETTINGS / self.profile.name / f"{setting}.yaml"
        recipe = read_recipe(path, changes)
        if recipe.data.root == "embedded":
            return recipe
        root = Path(os.environ.get("COTUNE_DATA") or HERE.parents[2] / "shared/data")
        if recipe.data.root == users.ROOT:
            for folder in recipe.data.folders:
                users.deal(root / folder.path, self.cache / users.ROOT / folder.path)
            root = self.cache / users.ROOT
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
            rates: Learning rates; None: those of the line, else of the profile.

        Returns:
            The tested runs.
        """
        common = self.recipe(setting, *changes)
        tasks = load_recipe_tasks(common)
        chosen = self._tune(common, arms, rates or self.rates)
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
            fmean(guess(task) for task in tasks),
        )
        self.seen.append(runs)
        return runs

    def _tune(
        self, common: Recipe, arms: Sequence[Arm], rates: Sequence[float]
    ) -> dict[str, tuple[float, dict[float, float]]]:
        """Return, per arm, the chosen rate and what each rate scored."""
        grid = sorted(set(rates))
        jobs = [
            self._cell(common, arm, rate, seed)
            for arm in arms
            for rate in grid
            for seed in self.tuning_seeds
        ]
        # In the order in which rates and seeds are asked for.
        found = iter(self._all(jobs, cells.train))
        return {
            arm.name: self.choose_rate(grid, lambda *_: next(found).validation)
            for arm in arms
        }

    def choose_rate(
        self, rates: Sequence[float], score: Callable[[float, int], float | None]
    ) -> tuple[float, dict[float, float]]:
        """Choose a learning rate by the mean score over the tuning seeds.

        Args:
            rates: To choose from.
            score: Says what a rate scores at a seed, on validation rows; None if there
                are none. Asked rate by rate, from the lowest.

        Returns:
            The best rate, of equally good ones the lowest; and rate -> mean score.

        Raises:
            ConfigError: There are no validation rows.
        """
        tried = {
            rate: fmean(_need(score(rate, seed)) for seed in self.tuning_seeds)
            for rate in sorted(set(rates))
        }
        return max(tried, key=lambda rate: (tried[rate], -rate)), tried

    def _cell(self, common: Recipe, arm: Arm, rate: float, seed: int) -> Recipe:
        changes = [
            *arm.overrides,
            f"training.learning_rate={rate!r}",
            f"training.seed={seed}",
            "training.disable_tqdm=true",
        ]
        if seed not in self.tuning_seeds:
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


def guess(task: Task) -> float:
    """Return what one answer to all, or none in particular, would score."""
    assert task.test is not None
    usual, _ = Counter(task.train["answer"]).most_common(1)[0]
    always = fmean(answer == usual for answer in task.test["answer"])
    return max(always, fmean(1 / len(several) for several in task.test["options"]))
