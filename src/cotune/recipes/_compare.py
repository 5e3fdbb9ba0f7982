"""Train several methods on the same data, tuned alike, and put them side by side.

Every arm gets the same learning rates to choose from, on validation rows cut from the
training rows, and the same number of steps. Only the chosen runs are scored on test
rows. Finished runs are read from their folders, so an interrupted comparison goes on
where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from .._files import write_text
from ..data import METRICS, Task
from ._arms import Arm, arm_recipe, check_arms, slug
from ._comparison import Cell, Comparison, choose
from ._open import OpenedBase, open_base, open_run
from ._paired import Rows
from ._recipe import Recipe
from ._run import count_trained, run_recipe, time_training
from ._tasks import load_recipe_tasks

if TYPE_CHECKING:
    from ..training import Evaluation

Report = Callable[[str], None]


def compare(
    recipe: Recipe,
    arms: Sequence[Arm],
    *,
    learning_rates: Sequence[float],
    seeds: Sequence[int] = (0,),
    report: Report | None = None,
) -> Comparison:
    """Run every arm with every learning rate and seed.

    Args:
        recipe: What the arms have in common; its tasks need validation and test rows.
        arms: The methods, with different names.
        learning_rates: The grid, the same for every arm.
        seeds: Seeds of starts, row order and sample choice, the same for every arm.
        report: Called with a line of text after every run.

    Returns:
        The runs; also written to ``comparison.json`` in the recipe's output_dir.

    Raises:
        ConfigError: Arms that share a name or do not fit the recipe, an empty grid,
            tasks without validation or test rows, metrics of different directions.
    """
    check_arms(arms)
    if not learning_rates or not seeds:
        raise ConfigError(
            "compare: there must be a learning rate and a seed, got "
            f"{list(learning_rates)} and {list(seeds)}. Pass at least one of each."
        )
    runner = _Runner(recipe, learning_rates, report or _say_nothing)
    # All arms are checked before the first one costs time.
    plans = [runner.plan(arm, seed) for seed in seeds for arm in arms]
    cells = [cell for plan in plans for cell in runner.run(plan)]
    base = runner.score_base(seeds[0])
    top = Path(recipe.output_dir)
    names = dict.fromkeys(task.spec.metric_name for task in runner.tasks(seeds[0]))
    better = runner.higher_is_better
    comparison = Comparison(tuple(cells), base, "+".join(names), better, top)
    if _is_first():
        comparison.save(top / "comparison.json")
    return comparison


class _Runner:
    """Runs arms; holds the rows of each seed, which all arms share."""

    def __init__(
        self, recipe: Recipe, learning_rates: Sequence[float], report: Report
    ) -> None:
        self._recipe = recipe
        self._rates = sorted(set(learning_rates))
        self._report = report
        self._tasks: dict[int, list[Task]] = {}
        self.higher_is_better = True

    def tasks(self, seed: int) -> list[Task]:
        """Return the tasks with the rows that a seed draws."""
        if seed not in self._tasks:
            training = self._recipe.training.model_copy(update={"seed": seed})
            changed = self._recipe.model_copy(update={"training": training})
            self._tasks[seed] = load_recipe_tasks(changed)
            self.higher_is_better = _check_tasks(self._tasks[seed])
        return self._tasks[seed]

    def plan(self, arm: Arm, seed: int) -> list[tuple[Arm, Recipe]]:
        """Return the recipes of an arm, one per learning rate."""
        self.tasks(seed)
        top = Path(self._recipe.output_dir)
        return [
            (
                arm,
                arm_recipe(
                    self._recipe,
                    arm,
                    learning_rate=rate,
                    seed=seed,
                    folder=top / f"{slug(arm.name)}-lr{rate:g}-seed{seed}",
                ),
            )
            for rate in self._rates
        ]

    def run(self, plan: Sequence[tuple[Arm, Recipe]]) -> list[Cell]:
        """Train an arm with every learning rate, and test the best on test rows."""
        cells = [self._train(arm, recipe) for arm, recipe in plan]
        best = choose(cells, higher_is_better=self.higher_is_better)
        place = cells.index(best)
        cells[place] = replace(best, rows=self._test(best, plan[place][1]))
        self._report(
            f"{best.arm}, seed {best.seed}: test {cells[place].mean:.3f} with learning "
            f"rate {best.learning_rate:g}"
        )
        return cells

    def score_base(self, seed: int) -> Rows:
        """Score the base model, without an adapter, on test rows."""
        tasks = self.tasks(seed)
        with _quiet():
            opened = open_base(self._recipe, tasks)
        return {task.name: _score_rows(opened, task) for task in tasks}

    def _train(self, arm: Arm, recipe: Recipe) -> Cell:
        folder = Path(recipe.output_dir)
        found = _read_cell(folder, recipe)
        if found is None:
            found = self._train_anew(arm, recipe, folder)
        self._report(
            f"{arm.name}, seed {found.seed}, learning rate {found.learning_rate:g}: "
            f"validation {found.validation:.3f}, {found.seconds:.0f} s"
        )
        return found

    def _train_anew(self, arm: Arm, recipe: Recipe, folder: Path) -> Cell:
        # Without test rows, runs are scored on validation rows.
        tasks = [replace(t, test=None) for t in self.tasks(recipe.training.seed)]
        folder.mkdir(parents=True, exist_ok=True)
        with _quiet(folder / "train.log"):
            result = run_recipe(recipe, resume=True, tasks=tasks)
        cell = Cell(
            arm=arm.name,
            learning_rate=recipe.training.learning_rate,
            seed=recipe.training.seed,
            validation=_mean_score(result.evaluation),
            parameters=count_trained(result),
            seconds=time_training(result),
            folder=str(folder),
        )
        if _is_first():
            content = {"cell": asdict(cell), "recipe": recipe.model_dump(mode="json")}
            write_text(folder / "cell.json", json.dumps(content, indent=2) + "\n")
        return cell

    def _test(self, cell: Cell, recipe: Recipe) -> Rows:
        path = Path(cell.folder) / "test.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        tasks = self.tasks(cell.seed)
        rows: dict[str, list[float]] = {}
        for folder in dict.fromkeys(_folders(recipe, tasks).values()):
            own = [
                task for task in tasks if _folders(recipe, tasks)[task.name] == folder
            ]
            with _quiet():
                opened = open_run(folder, tasks=own)
            rows |= {task.name: _score_rows(opened, task) for task in own}
        if _is_first():
            write_text(path, json.dumps(rows) + "\n")
        return rows


def _read_cell(folder: Path, recipe: Recipe) -> Cell | None:
    path = folder / "cell.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found["recipe"] == recipe.model_dump(mode="json"):
        return Cell(**found["cell"])
    raise ConfigError(
        f"{folder}: must be of the same recipe, got a finished run of another one. "
        "Choose another output_dir, or delete it."
    )


def _folders(recipe: Recipe, tasks: Sequence[Task]) -> dict[str, Path]:
    """Return task -> run folder with its adapter."""
    folder = Path(recipe.output_dir)
    return {t.name: folder / t.name if recipe.separate else folder for t in tasks}


def _score_rows(opened: OpenedBase, task: Task) -> list[float]:
    from ..training import predict

    spec = opened.recipe.evaluation
    model = opened.model
    predictions, answers = predict(model, opened.base, task, part="test", spec=spec)
    metric = METRICS[task.spec.metric_name]
    if metric.reads == "loss":
        return metric.score_rows([one.loss for one in predictions], answers)
    return metric.score_rows([one.text for one in predictions], answers)


def _mean_score(evaluation: Evaluation) -> float:
    found = [score.adapter for score in evaluation.tasks]
    return fmean(score for score in found if score is not None)


def _check_tasks(tasks: Sequence[Task]) -> bool:
    """Return whether higher is better; refuse tasks that cannot be compared."""
    for part, advice in (
        ("validation", "to choose a learning rate. Set data.validation_share."),
        ("test", "to score the arms. Set source.test."),
    ):
        without = [task.name for task in tasks if getattr(task, part) is None]
        if without:
            raise ConfigError(
                f"data: a comparison needs {part} rows, got none for "
                f"{', '.join(without)}. They are there {advice}"
            )
    ways = {
        task.spec.metric_name: METRICS[task.spec.metric_name].higher_is_better
        for task in tasks
    }
    if len(set(ways.values())) > 1:
        raise ConfigError(
            "data: a comparison takes a mean over tasks, so that all metrics must "
            f"point the same way, got {', '.join(ways)}. Set metric or leave tasks out."
        )
    return next(iter(ways.values()))


@contextmanager
def _quiet(log: Path | None = None) -> Iterator[None]:
    """Keep what training prints out of the way: dozens of runs would fill the screen.

    Args:
        log: File that it goes to, from the first process; None drops it.
    """
    from transformers.utils import logging

    path = Path(os.devnull) if log is None or not _is_first() else log
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with path.open("w", encoding="utf-8") as file, redirect_stdout(file):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _is_first() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _say_nothing(text: str) -> None:
    del text
