"""Train both arms: the same tasks, steps, rates to choose from, and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from cotune import Adapter, read_adapter
from cotune.data import Task
from cotune.recipes import (
    Arm,
    Comparison,
    Recipe,
    check_recipe,
    compare,
    load_recipe_tasks,
    override,
)

ARMS = {"LoRA": Arm("LoRA"), "CoTo": Arm("CoTo", ("schedule.name=coto",))}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Question:
    """What is trained.

    Args:
        recipe: What both arms have in common; its output_dir holds all runs.
        learning_rates: The grid of both arms.
        seeds: Of start, row order and sample choice.
        merged_seeds: Those whose tasks are merged into one adapter.
        pilot: Names of the tasks that choose the rate; empty: all.
        most_rows: Most test rows per task that merged and pruned adapters are scored
            on.
    """

    recipe: Recipe
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    merged_seeds: tuple[int, ...]
    pilot: tuple[str, ...]
    most_rows: int


@dataclass(frozen=True)
class Trained:
    """What training left.

    Args:
        adapters: (arm, task, seed) -> adapter.
        rates: Arm -> the learning rate that was chosen.
        pilot: Arm -> rate -> mean accuracy on validation rows.
        runs: Arm -> its runs, with their scores on all test rows.
        tasks: With their test rows.
    """

    adapters: Mapping[tuple[str, str, int], Adapter]
    rates: Mapping[str, float]
    pilot: Mapping[str, Mapping[float, float]]
    runs: Mapping[str, Comparison]
    tasks: Sequence[Task]

    @property
    def seconds(self) -> dict[str, float]:
        """Return arm -> seconds of training, summed over tasks and seeds."""
        return {
            arm: sum(cell.seconds for cell in found.cells)
            for arm, found in self.runs.items()
        }


def read_question(path: Path, work: Path, overrides: Sequence[str] = ()) -> Question:
    """Read one of the YAML files beside this one.

    Args:
        path: The file.
        work: Folder for the runs.
        overrides: Changes to the recipe, ``section.key=value``.
    """
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    values = {**override(found["recipe"], overrides), "output_dir": str(work)}
    return Question(
        recipe=check_recipe(values, str(path)),
        learning_rates=tuple(found["learning_rates"]),
        seeds=tuple(found["seeds"]),
        merged_seeds=tuple(found["merged_seeds"]),
        pilot=tuple(found["pilot_tasks"] or ()),
        most_rows=found["most_rows"],
    )


def train(question: Question, say: Say) -> Trained:
    """Choose one rate per arm with the first seed, then train every task and seed.

    One rate for all tasks of an arm, since what is merged should be trained alike.

    Args:
        question: What to train.
        say: Told a line after every run.
    """
    pilot = _run_pilot(question, say)
    rates = {arm: max(found, key=lambda r: found[r]) for arm, found in pilot.items()}
    top = Path(question.recipe.output_dir)
    adapters: dict[tuple[str, str, int], Adapter] = {}
    runs: dict[str, Comparison] = {}
    for name, rate in rates.items():
        found = _compare(question.recipe, name, (rate,), question.seeds, top, say)
        runs[name] = found
        for cell in found.cells:
            for task in found.tasks():
                folder = Path(cell.folder) / task / "adapter"
                # In memory: layers on the disk would be read anew for every score.
                adapters[name, task, cell.seed] = _hold(read_adapter(folder))
    tasks = load_recipe_tasks(question.recipe)
    return Trained(adapters, rates, pilot, runs, tasks)


def _hold(adapter: Adapter) -> Adapter:
    return adapter.with_layers(dict(adapter.layers))


def _run_pilot(question: Question, say: Say) -> dict[str, dict[float, float]]:
    recipe, top = question.recipe, Path(question.recipe.output_dir)
    if question.pilot:
        values = recipe.model_dump(mode="json")
        values["data"]["folders"][0]["include"] = list(question.pilot)
        recipe, top = check_recipe(values), top / "pilot"
    found: dict[str, dict[float, float]] = {}
    for name in ARMS:
        ran = _compare(
            recipe, name, question.learning_rates, question.seeds[:1], top, say
        )
        rates = {cell.learning_rate: [] for cell in ran.cells}
        for cell in ran.cells:
            rates[cell.learning_rate].append(cell.validation)
        found[name] = {rate: fmean(scores) for rate, scores in rates.items()}
    return found


def _compare(
    recipe: Recipe,
    name: str,
    rates: Sequence[float],
    seeds: Sequence[int],
    top: Path,
    say: Say,
) -> Comparison:
    own = recipe.model_copy(update={"output_dir": str(top)})
    return compare(own, [ARMS[name]], learning_rates=rates, seeds=seeds, report=say)
