"""Train several methods on the same data, tuned alike, and put them side by side.

Every arm gets the same learning rates to choose from, on validation rows cut from the
training rows, and the same number of steps. Only the chosen runs are scored on test
rows. Finished runs are read from their folders, so an interrupted comparison goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .._errors import ConfigError
from ..data import METRICS, Task
from ._arms import Arm, arm_recipe, check_arms, slug
from ._cells import is_first, test_base
from ._comparison import Cell, Comparison, choose
from ._recipe import Recipe
from ._tasks import load_recipe_tasks
from ._workers import Workers

Report = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    """One run to be made."""

    arm: str
    seed: int
    recipe: Recipe


def compare(
    recipe: Recipe,
    arms: Sequence[Arm],
    *,
    learning_rates: Sequence[float],
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    report: Report | None = None,
) -> Comparison:
    """Run every arm with every learning rate and seed.

    Args:
        recipe: What the arms have in common; its tasks need validation and test rows.
        arms: The methods, with different names.
        learning_rates: The grid, the same for every arm.
        seeds: Seeds of starts, row order and sample choice, the same for every arm.
        workers: How many runs at a time, each in a process of its own, >= 1. Not under
            torchrun.
        report: Called with a line of text after every run.

    Returns:
        The runs; also written to ``comparison.json`` in the recipe's output_dir.

    Raises:
        ConfigError: Arms that share a name or do not fit the recipe, an empty grid,
            tasks without validation or test rows, metrics of different directions.
    """
    check_arms(arms)
    if not learning_rates or not seeds or workers < 1:
        raise ConfigError(
            "compare: there must be a learning rate, a seed and a worker, got "
            f"{list(learning_rates)}, {list(seeds)} and {workers}. Pass at least one."
        )
    rows = {seed: _load(recipe, seed) for seed in seeds}
    tasks = rows[seeds[0]]
    better = _check_tasks(tasks)
    # All arms are checked before the first one costs time.
    rates = sorted(set(learning_rates))
    jobs = [
        _make_job(recipe, arm, rate, seed)
        for seed in seeds
        for arm in arms
        for rate in rates
    ]
    with Workers(workers, lambda one: rows[one.training.seed]) as pool:
        cells = _run(jobs, pool, better, report or _say_nothing)
    names = dict.fromkeys(task.spec.metric_name for task in tasks)
    base, top = test_base(recipe, tasks), Path(recipe.output_dir)
    comparison = Comparison(tuple(cells), base, "+".join(names), better, top)
    if is_first():
        comparison.save(top / "comparison.json")
    return comparison


def _load(recipe: Recipe, seed: int) -> list[Task]:
    training = recipe.training.model_copy(update={"seed": seed})
    return load_recipe_tasks(recipe.model_copy(update={"training": training}))


def _make_job(recipe: Recipe, arm: Arm, rate: float, seed: int) -> _Job:
    folder = Path(recipe.output_dir) / f"{slug(arm.name)}-lr{rate:g}-seed{seed}"
    own = arm_recipe(recipe, arm, learning_rate=rate, seed=seed, folder=folder)
    return _Job(arm.name, seed, own)


def _run(
    jobs: Sequence[_Job], pool: Workers, higher_is_better: bool, report: Report
) -> list[Cell]:
    """Train all runs, and test the best of each arm and seed."""
    found: dict[int, Cell] = {}
    for place, cell in pool.train([(job.arm, job.recipe) for job in jobs]):
        found[place] = cell
        report(
            f"{cell.arm}, seed {cell.seed}, learning rate {cell.learning_rate:g}: "
            f"validation {cell.validation:.3f}, {cell.seconds:.0f} s"
        )
    cells = [found[place] for place in range(len(jobs))]
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.arm, cell.seed), []).append(cell)
    best = [
        choose(group, higher_is_better=higher_is_better) for group in groups.values()
    ]
    places = [cells.index(cell) for cell in best]
    for place, rows in zip(
        places, pool.test([jobs[place].recipe for place in places]), strict=True
    ):
        cells[place] = replace(cells[place], rows=rows)
    return cells


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


def _say_nothing(text: str) -> None:
    del text
