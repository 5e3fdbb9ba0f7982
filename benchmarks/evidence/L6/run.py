"""Do CoTo's adapters survive pruning better, and is stochastic depth enough for it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.evidence.arms import COTO, DEPTH, LORA
from benchmarks.evidence.bench import ArmRuns, Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from benchmarks.evidence.scorer import Scorer
from cotune import read_adapter
from cotune.operators.prune import prune_adapter

PATTERNS: dict[str, tuple[str, dict[str, object]]] = {
    "every other layer": ("every_other", {}),
    "lower third only": ("low", {}),
    "middle third only": ("middle", {}),
    "upper third only": ("high", {}),
    "sparsity .5": ("magnitude", {"sparsity": 0.5}),
    "sparsity .7": ("magnitude", {"sparsity": 0.7}),
    "sparsity .9": ("magnitude", {"sparsity": 0.9}),
}


def measure(bench: Bench) -> Measured:
    """Prune the runs of all arms alike, and score what is left."""
    setting = bench.options["setting"]
    control = [DEPTH] if bench.options["control"] else []
    arms = bench.run(setting, [LORA, COTO, *control]).arms
    scorer = Scorer(bench.recipe(setting), bench.profile.scorings)
    parts: list[Part] = []
    for what, (method, options) in PATTERNS.items():
        coto, *others = (
            _prune(arms[arm.name], method, options, scorer)
            for arm in (COTO, LORA, *control)
        )
        for arm, scores in zip((LORA, *control), others, strict=True):
            name = f"{what}: CoTo - {arm.name}"
            parts.append(part_of(name, coto, scores, counts=arm is LORA))
    return Measured(parts, {"rows_per_task": bench.profile.scorings})


def _prune(
    runs: ArmRuns, method: str, options: dict[str, object], scorer: Scorer
) -> Sequence[float]:
    found = []
    for recipe in runs.recipes:
        adapter = read_adapter(Path(recipe.output_dir) / "adapter")
        pruned = prune_adapter(adapter, method=method, **options)
        found.append(scorer.mean(pruned.adapter))
    return found


if __name__ == "__main__":
    main(__file__, measure)
