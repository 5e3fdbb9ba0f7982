"""Train several methods on the same data, tuned alike, and put them side by side.

Every arm gets the same learning rates to choose from, on validation rows cut from the
training rows, and the same number of steps. Finished cells are read from their folders,
so an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import yaml

from .._errors import ConfigError
from .._files import write_text
from ..data import load_data
from ._read import check_recipe, override
from ._recipe import Recipe
from ._run import SeparateResult, run_recipe

if TYPE_CHECKING:
    from ..training import Evaluation, TrainingResult


@dataclass(frozen=True)
class Arm:
    """One method of a comparison.

    Args:
        name: Shown in tables.
        overrides: Changes to the recipe, ``section.key=value``.
    """

    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One training run of a comparison.

    Args:
        arm: Name of the arm.
        learning_rate: Of this run.
        seed: Of this run.
        validation: Mean score over the tasks on validation rows.
        scores: Task -> score on test rows.
        base: Task -> score of the untouched base model on test rows.
        parameters: Numbers trained, over all adapters of the arm.
        seconds: Wall time of training.
        folder: Where the run lies.
    """

    arm: str
    learning_rate: float
    seed: int
    validation: float
    scores: dict[str, float]
    base: dict[str, float]
    parameters: int
    seconds: float
    folder: str

    @property
    def mean(self) -> float:
        """Return the mean score over the tasks."""
        return fmean(self.scores.values())


@dataclass(frozen=True)
class Comparison:
    """All cells of a comparison.

    Args:
        cells: In the order they were run.
    """

    cells: tuple[Cell, ...]

    def chosen(self, arm: str, seed: int) -> Cell:
        """Return the run of an arm whose learning rate did best on validation rows."""
        cells = [c for c in self.cells if c.arm == arm and c.seed == seed]
        return max(cells, key=lambda cell: cell.validation)

    def arms(self) -> list[str]:
        """Return the names of the arms."""
        return list(dict.fromkeys(cell.arm for cell in self.cells))

    def seeds(self) -> list[int]:
        """Return the seeds."""
        return list(dict.fromkeys(cell.seed for cell in self.cells))

    def means(self, arm: str) -> list[float]:
        """Return the mean test score of an arm, one number per seed."""
        return [self.chosen(arm, seed).mean for seed in self.seeds()]

    def task_means(self, arm: str) -> dict[str, float]:
        """Return task -> test score of an arm, averaged over the seeds."""
        runs = [self.chosen(arm, seed).scores for seed in self.seeds()]
        return {task: fmean(run[task] for run in runs) for task in runs[0]}

    def base_means(self) -> dict[str, float]:
        """Return task -> test score of the untouched base model."""
        return self.cells[0].base

    def save(self, path: Path) -> None:
        """Write all cells as JSON, in one move."""
        cells = [asdict(cell) for cell in self.cells]
        write_text(path, json.dumps(cells, indent=2) + "\n")


def compare(
    recipe: Recipe,
    arms: Sequence[Arm],
    *,
    learning_rates: Sequence[float],
    seeds: Sequence[int] = (0,),
) -> Comparison:
    """Run every arm with every learning rate and seed.

    Args:
        recipe: What the arms have in common; its tasks need validation rows.
        arms: The methods, with different names.
        learning_rates: The grid, the same for every arm.
        seeds: Seeds of starts, row order and sample choice, the same for every arm.

    Returns:
        The cells; also written to ``comparison.json`` in the recipe's output_dir.

    Raises:
        ConfigError: Arms that share a name, an arm that does not fit the recipe, or
            tasks without validation rows.
    """
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"arms: must have different names, got {names}.")
    top = Path(recipe.output_dir)
    cells = [
        _cell(recipe, arm, rate, seed, top)
        for seed in seeds
        for arm in arms
        for rate in learning_rates
    ]
    comparison = Comparison(tuple(cells))
    comparison.save(top / "comparison.json")
    return comparison


def _cell(recipe: Recipe, arm: Arm, rate: float, seed: int, top: Path) -> Cell:
    slug = "".join(c if c.isalnum() else "-" for c in arm.name.lower())
    folder = top / f"{slug}-lr{rate:g}-seed{seed}"
    done = folder / "cell.json"
    cell_recipe = _arm_recipe(recipe, arm, rate, seed, folder)
    if done.is_file():
        found = json.loads(done.read_text(encoding="utf-8"))
        if found.pop("recipe") == cell_recipe.model_dump(mode="json"):
            return Cell(**found)
        raise ConfigError(
            f"{folder}: must be of the same recipe, got a finished run of another one. "
            "Choose another output_dir, or delete it."
        )
    cell = _run(cell_recipe, arm, rate, seed, folder)
    record = {**asdict(cell), "recipe": cell_recipe.model_dump(mode="json")}
    write_text(done, json.dumps(record, indent=2) + "\n")
    return cell


def _arm_recipe(
    recipe: Recipe, arm: Arm, rate: float, seed: int, folder: Path
) -> Recipe:
    values: dict[str, Any] = recipe.model_dump(mode="json", exclude={"versions"})
    # A field that another method fills is not a choice of the recipe's author.
    values["adapter"] = recipe.adapter.model_dump(exclude_unset=True)  # type: ignore[attr-defined]
    common = (
        f"training.learning_rate={rate}",
        f"training.seed={seed}",
        f"output_dir={yaml.safe_dump(str(folder)).splitlines()[0]}",
    )
    changed = override(values, [*arm.overrides, *common])
    return check_recipe(changed, f"arm '{arm.name}'")


def _run(recipe: Recipe, arm: Arm, rate: float, seed: int, folder: Path) -> Cell:
    result = run_recipe(recipe, resume=True)
    separate = isinstance(result, SeparateResult)
    runs = list(result.runs.values()) if separate else [result]
    evaluation: Evaluation = result.evaluation
    return Cell(
        arm=arm.name,
        learning_rate=rate,
        seed=seed,
        validation=_validation(recipe, runs),
        scores={s.task: float(s.adapter or 0.0) for s in evaluation.tasks},
        base={s.task: float(s.base or 0.0) for s in evaluation.tasks},
        parameters=sum(_trained(run) for run in runs),
        seconds=sum(_seconds(run) for run in runs),
        folder=str(folder),
    )


def _validation(recipe: Recipe, runs: Sequence[TrainingResult]) -> float:
    from ..training import score_tasks

    tasks = {t.name: t for t in load_data(recipe.data, seed=recipe.training.seed)}
    without = [task.name for task in tasks.values() if task.validation is None]
    if without:
        raise ConfigError(
            "data: a comparison needs validation rows to choose a learning rate, got "
            f"none for {', '.join(without)}. Set data.validation_share."
        )
    scores: list[float] = []
    for run in runs:
        own = [tasks[score.task] for score in run.evaluation.tasks]
        parts: dict[str, Any] = {task.name: "validation" for task in own}
        scores += score_tasks(run.model, run.base, own, parts).values()
    return fmean(scores)


def _trained(run: TrainingResult) -> int:
    return sum(p.numel() for p in run.model.parameters() if p.requires_grad)


def _seconds(run: TrainingResult) -> float:
    logged = [entry["train_runtime"] for entry in run.log_history if "train_runtime" in entry]
    return float(sum(logged))
