"""One federated run of the evidence, kept in the cache as the others are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.cells import place
from benchmarks.evidence.files import write
from cotune.recipes import (
    Recipe,
    check_recipe,
    federate,
    list_recipe_tasks,
    override,
)

AGGREGATED, TRAINED = "score_after_aggregation", "score_after_training"
SCORES = (AGGREGATED, TRAINED)


@dataclass(frozen=True)
class Federated:
    """The runs of one aggregation, with the learning rate chosen as for all others.

    Args:
        rate: The chosen learning rate.
        tried: Learning rate -> score on validation rows of the first seed.
        runs: Per seed: client -> its last scores and bytes.
    """

    rate: float
    tried: Mapping[float, float]
    runs: Sequence[Mapping[str, Any]]

    def means(self, key: str) -> list[float]:
        """Return a score, averaged over the clients, per seed."""
        return [fmean(one[key] for one in run.values()) for run in self.runs]

    @property
    def bytes(self) -> int:
        """Return what all clients sent and received, over all rounds."""
        return sum(one["up"] + one["down"] for one in self.runs[0].values())

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the single clients."""
        return {
            "rate": self.rate,
            "validation_by_rate": {f"{k:g}": v for k, v in self.tried.items()},
            "bytes": self.bytes,
            **{key: self.means(key) for key in SCORES},
        }


def run_federation(bench: Bench, setting: str, *changes: str) -> Federated:
    """Tune on validation rows of the first seed, then run all seeds."""
    seeds, rates = bench.profile.seeds, sorted(bench.profile.rates)
    tried = {}
    for rate in rates:
        recipe = _recipe(bench, setting, rate, seeds[0], changes, validate=True)
        tried[rate] = fmean(one[AGGREGATED] for one in _run(recipe, bench).values())
    best = max(rates, key=lambda rate: (tried[rate], -rate))
    runs = [
        _run(_recipe(bench, setting, best, seed, changes, validate=False), bench)
        for seed in seeds
    ]
    return Federated(best, tried, runs)


def _recipe(
    bench: Bench,
    setting: str,
    rate: float,
    seed: int,
    changes: Sequence[str],
    *,
    validate: bool,
) -> Recipe:
    recipe = bench.recipe(setting, *changes)
    if validate:
        recipe = _without_test_rows(recipe)
    own = [
        f"training.learning_rate={rate!r}",
        f"training.seed={seed}",
        f"federated.seed={seed}",
        *(() if validate else ("data.validation_share=0",)),
    ]
    made = check_recipe(override(recipe.model_dump(mode="json"), own))
    return place(made, bench.cache)


def _without_test_rows(recipe: Recipe) -> Recipe:
    """Make clients score their validation rows."""
    tasks = tuple(
        task.model_copy(
            update={"source": task.source.model_copy(update={"without": ("test",)})}
        )
        for task in list_recipe_tasks(recipe)
    )
    data = recipe.data.model_copy(update={"folders": (), "tasks": tasks})
    return recipe.model_copy(update={"data": data})


def _run(recipe: Recipe, bench: Bench) -> dict[str, Any]:
    folder = Path(recipe.output_dir)
    path = folder / "clients.json"
    if not path.is_file():
        federate(recipe, engine="local", resume=True)
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        write(path, json.dumps(found["federated"]["clients"], indent=1) + "\n")
        bench.report(f"federation {folder.name}")
    return json.loads(path.read_text(encoding="utf-8"))
