"""Do CoTo's adapters survive pruning better, and is stochastic depth enough for it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.evidence.arms import COTO, DEPTH, LORA
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from benchmarks.evidence.runs import ArmRuns
from benchmarks.evidence.scorer import Scorer
from cotune import Adapter, read_adapter
from cotune.analysis import contribution
from cotune.operators.prune import prune_adapter
from cotune.recipes import Recipe

Pattern = Callable[[Adapter, Recipe], Adapter]
"""A trained adapter and the recipe of its run -> what is left of it."""

STRUCTURED: dict[str, tuple[str, dict[str, Any]]] = {
    "every other layer": ("every_other", {}),
    "every other layer, from the second": ("every_other", {"first": 1}),
    "lower third only": ("low", {}),
    "middle third only": ("middle", {}),
    "upper third only": ("high", {}),
    "queries only": ("keep", {"modules": "query"}),
    "keys only": ("keep", {"modules": "key"}),
    "values only": ("keep", {"modules": "value"}),
}
HALVES: dict[str, tuple[str, dict[str, Any]]] = {
    "global": ("sparsity 0.5, one threshold for all tensors", {"scope": "global"}),
    "update": ("sparsity 0.5, of the update", {"on": "update"}),
}
"""Ways to zero half of the numbers, beside half of each factor."""
BY_CONTRIBUTION = "half of the blocks, by contribution"
WHOLE = "not pruned"


def measure(bench: Bench) -> Measured:
    """Prune the runs of all arms alike, and score what is left."""
    setting = bench.options["setting"]
    control = [DEPTH] if bench.options["control"] else []
    arms = bench.run(setting, [LORA, COTO, *control]).arms
    scorer = Scorer(bench.recipe(setting), bench.profile.scorings)
    parts: list[Part] = []
    for what, pattern in list_patterns(bench.options).items():
        coto, *others = (
            _score(arms[arm.name], pattern, scorer) for arm in (COTO, LORA, *control)
        )
        for arm, scores in zip((LORA, *control), others, strict=True):
            counts = arm is LORA and what != WHOLE
            name = f"{what}: CoTo - {arm.name}"
            parts.append(part_of(name, coto, scores, counts=counts))
    return Measured(parts, {"rows_per_task": bench.profile.scorings})


def list_patterns(options: Mapping[str, Any]) -> dict[str, Pattern]:
    """List what is tried, by its name in the record.

    Args:
        options: ``sparsities``; ``halves``, names in ``HALVES``; and
            ``contribution_rows`` per task, where None leaves pruning by contribution
            out, which scores every set of blocks of every run.
    """
    patterns = {what: _by(*found) for what, found in STRUCTURED.items()}
    for sparsity in options["sparsities"]:
        patterns[f"sparsity {sparsity:g}"] = _by("magnitude", {"sparsity": sparsity})
    for name in options["halves"]:
        what, more = HALVES[name]
        patterns[what] = _by("magnitude", {"sparsity": 0.5, **more})
    rows = options["contribution_rows"]
    if rows is not None:
        patterns[BY_CONTRIBUTION] = _by_contribution(rows)
    patterns[WHOLE] = lambda adapter, _: adapter
    return patterns


def _by(method: str, options: Mapping[str, Any]) -> Pattern:
    return lambda adapter, _: prune_adapter(adapter, method=method, **options).adapter


def _by_contribution(rows: int) -> Pattern:
    def prune(adapter: Adapter, recipe: Recipe) -> Adapter:
        # On training rows: what is kept must not be chosen by the rows that score it.
        scorer = Scorer(recipe, rows, trained=True)
        blocks = scorer.blocks(adapter)
        with scorer.switching(adapter) as model:
            found = contribution(
                lambda on: model.minus_loss([n for block in on for n in blocks[block]]),
                list(blocks),
                method="exact",
            )
        scores = found.scores()
        return prune_adapter(adapter, method="by_contribution", scores=scores).adapter

    return prune


def _score(runs: ArmRuns, pattern: Pattern, scorer: Scorer) -> list[float]:
    """Return the mean score of every run of an arm, pruned."""
    found: list[float] = []
    for recipe in runs.recipes:
        adapter = read_adapter(Path(recipe.output_dir) / "adapter")
        found.append(scorer.mean(pattern(adapter, recipe)))
    return found


if __name__ == "__main__":
    main(__file__, measure)
