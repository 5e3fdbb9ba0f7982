"""Federated runs of the evidence, kept in the cache as the others are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.evidence.bench import Bench, guess
from benchmarks.evidence.cells import place, score_base
from benchmarks.evidence.files import write
from benchmarks.evidence.parts import Part, part_of
from cotune.recipes import (
    Recipe,
    check_recipe,
    federate,
    list_recipe_tasks,
    load_recipe_tasks,
    override,
)

AGGREGATED, TRAINED = "score_after_aggregation", "score_after_training"
SCORES = (AGGREGATED, TRAINED)
MARGIN = -0.02
"""At least equal: no more than two points of accuracy below."""


@dataclass(frozen=True)
class Federated:
    """The runs of one aggregation, with the learning rate chosen as for all others.

    Args:
        name: Of the aggregation.
        rate: The chosen learning rate.
        tried: Learning rate -> score after aggregation, on validation rows of the
            tuning seeds.
        runs: Per seed: client -> its last scores, rank and bytes.
        seconds: Wall time of a run, mean over the seeds; None if it was not kept.
    """

    name: str
    rate: float
    tried: Mapping[float, float]
    runs: Sequence[Mapping[str, Any]]
    seconds: float | None

    def means(self, key: str) -> list[float]:
        """Return a score, averaged over the clients, per seed."""
        return [fmean(one[key] for one in run.values()) for run in self.runs]

    def by_client(self, key: str) -> list[float]:
        """Return a score, averaged over the seeds, per client in order of names."""
        return [
            fmean(run[name][key] for run in self.runs) for name in sorted(self.runs[0])
        ]

    def worsts(self, key: str) -> list[float]:
        """Return the score of the worst client, per seed."""
        return [min(one[key] for one in run.values()) for run in self.runs]

    @property
    def bytes(self) -> int:
        """Return what all clients sent and received, over all rounds."""
        return sum(one["up"] + one["down"] for one in self.runs[0].values())

    @property
    def is_at_edge(self) -> bool:
        """Whether the chosen rate is the lowest or highest of the grid."""
        return self.rate in (min(self.tried), max(self.tried))

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the single clients."""
        return {
            "name": self.name,
            "rate": self.rate,
            "rate_at_edge": self.is_at_edge,
            "validation_by_rate": {f"{k:g}": v for k, v in self.tried.items()},
            **{key: self.means(key) for key in SCORES},
            "worst_client": {key: fmean(self.worsts(key)) for key in SCORES},
            "bytes": self.bytes,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Federations:
    """All aggregations on one setting.

    Args:
        setting: Its name.
        recipe: What they have in common, with one of the aggregations.
        arms: Name of the aggregation -> its runs.
        base: Mean test score of the untouched base model.
        chance: Mean score of guessing, as for the other lines.
    """

    setting: str
    recipe: Recipe
    arms: Mapping[str, Federated]
    base: float
    chance: float

    def parts(
        self,
        title: str,
        ours: str,
        theirs: str,
        *,
        margin: float = MARGIN,
        counts: bool = True,
    ) -> list[Part]:
        """Compare two aggregations by both scores, after aggregation and training.

        Args:
            title: What is compared, in words.
            ours: The aggregation that the claim favours.
            theirs: The other.
            margin: As in :class:`Part`; as it is, "at least equal" is asked.
            counts: As in :class:`Part`.
        """
        return self._compare(title, ours, theirs, Federated.means, margin, counts)

    def parts_over_clients(self, title: str, ours: str, theirs: str) -> list[Part]:
        """Compare as :meth:`parts` does, with one number per client, not per seed.

        The interval is that of a sentence about clients *like these*; so it stands
        beside the claim, which is about these.

        Args:
            title: What is compared, in words.
            ours: The aggregation that the claim favours.
            theirs: The other.
        """
        title = f"{title}, over clients"
        return self._compare(title, ours, theirs, Federated.by_client, MARGIN, False)

    def _compare(
        self,
        title: str,
        ours: str,
        theirs: str,
        read: Callable[[Federated, str], Sequence[float]],
        margin: float,
        counts: bool,
    ) -> list[Part]:
        one, other = self.arms[ours], self.arms[theirs]
        return [
            part_of(
                f"{self.setting}, {key.replace('_', ' ')}: {title}",
                read(one, key),
                read(other, key),
                margin=margin,
                at_chance=self._is_at_chance(key, one, other),
                counts=counts,
            )
            for key in SCORES
        ]

    def traffic(self, ours: str, theirs: str) -> float:
        """Return the bytes of one aggregation, as a share of another's."""
        return self.arms[ours].bytes / self.arms[theirs].bytes

    def _is_at_chance(self, key: str, *arms: Federated) -> bool:
        """Whether none of these arms can be told from guessing."""
        guess = self.chance
        return not any(part_of(key, arm.means(key), guess).low > 0 for arm in arms)

    def describe(self) -> dict[str, Any]:
        """Describe the setting and all its arms, as JSON can hold it."""
        recipe, spec = self.recipe, self.recipe.federated
        assert spec is not None
        clients = next(iter(self.arms.values())).runs[0]
        return {
            "setting": self.setting,
            "model": Path(recipe.base.name).name,
            "clients": len(clients),
            "ranks": [one["rank"] for one in clients.values()],
            "rounds": spec.rounds,
            "local_steps": spec.local_steps,
            "rows_per_step": recipe.training.per_device_train_batch_size,
            "train_rows_per_client": recipe.data.limits.train_rows,
            "test_rows_per_client": recipe.data.limits.test_rows,
            "max_length": recipe.data.encode.max_length,
            "chance": self.chance,
            "base": self.base,
            "arms": [arm.as_dict() for arm in self.arms.values()],
        }


def run_federations(
    bench: Bench, setting: str, names: Sequence[str], *changes: str
) -> Federations:
    """Run aggregations on a setting, each with a learning rate of its own choice.

    Args:
        bench: Seeds, rates, cache.
        setting: Name of a file in ``settings/<profile>/``, with a section federated.
        names: The aggregations.
        changes: Changes to the recipe, for all of them.

    Returns:
        The runs.
    """
    # With one of them, because changes such as ranks do not go with every aggregation.
    common = bench.recipe(setting, *changes, f"federated.aggregation={names[0]}")
    arms = {name: _run_all_seeds(bench, setting, name, changes) for name in names}
    base = score_base(common, bench.cache)
    chance = fmean(guess(task) for task in load_recipe_tasks(common))
    return Federations(
        setting, common, arms, fmean(fmean(rows) for rows in base.values()), chance
    )


def _run_all_seeds(
    bench: Bench, setting: str, name: str, changes: Sequence[str]
) -> Federated:
    """Tune on validation rows of the tuning seeds, then run all seeds."""
    changes = (*changes, f"federated.aggregation={name}")
    best, tried = bench.choose_rate(
        bench.rates,
        lambda rate, seed: _validate(
            _recipe(bench, setting, rate, seed, changes, tuning=True), bench
        ),
    )
    recipes = [
        _recipe(bench, setting, best, seed, changes, tuning=False)
        for seed in bench.profile.seeds
    ]
    runs = [_run(recipe, bench) for recipe in recipes]
    known = [seconds for seconds in map(_time, recipes) if seconds is not None]
    return Federated(name, best, tried, runs, fmean(known) if known else None)


def _recipe(
    bench: Bench,
    setting: str,
    rate: float,
    seed: int,
    changes: Sequence[str],
    *,
    tuning: bool,
) -> Recipe:
    recipe = bench.recipe(setting, *changes)
    if tuning:
        recipe = _without_test_rows(recipe)
    own = [
        f"training.learning_rate={rate!r}",
        f"training.seed={seed}",
        f"federated.seed={seed}",
        *(() if tuning else ("data.validation_share=0",)),
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


def _validate(recipe: Recipe, bench: Bench) -> float | None:
    """Return the mean score of the clients; None if one has no validation rows."""
    scores = [one[AGGREGATED] for one in _run(recipe, bench).values()]
    return None if None in scores else fmean(scores)


def _run(recipe: Recipe, bench: Bench) -> dict[str, Any]:
    """Run a federation, or read what it left: client -> scores, rank and bytes."""
    folder = Path(recipe.output_dir)
    path = folder / "clients.json"
    if not path.is_file():
        start = time.perf_counter()
        federate(recipe, engine="local", resume=True)
        seconds = time.perf_counter() - start
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        write(folder / "seconds.json", json.dumps(seconds) + "\n")
        write(path, json.dumps(found["federated"]["clients"], indent=1) + "\n")
        bench.report(f"federation {_title(recipe)}, {seconds:.0f} s")
    return json.loads(path.read_text(encoding="utf-8"))


def _time(recipe: Recipe) -> float | None:
    """Return how long a federation took; None of one from before this was kept."""
    path = Path(recipe.output_dir) / "seconds.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _title(recipe: Recipe) -> str:
    assert recipe.federated is not None
    name, training = recipe.federated.aggregation.name, recipe.training
    rate = f"learning rate {training.learning_rate:g}"
    return f"{name}, {rate}, seed {training.seed}"
