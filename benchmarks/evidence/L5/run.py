"""Do CoTo's adapters merge better: seeds of one run, and adapters of several tasks?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.evidence.arms import COTO, LORA, SEPARATE, SEPARATE_COTO
from benchmarks.evidence.bench import Bench, separate_arm
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from benchmarks.evidence.runs import ArmRuns
from benchmarks.evidence.scorer import Scorer
from cotune import Adapter, merge_adapters, read_adapter

OPERATORS = ("fuse", "mix", "ties", "dare", "lego", "align")


def measure(bench: Bench) -> Measured:
    """Merge runs of both arms with the same operators, and score the results."""
    setting = bench.options["setting"]
    recipe = bench.recipe(setting)
    scorer = Scorer(recipe, bench.profile.scorings)
    joint = bench.run(setting, [LORA, COTO]).arms
    count = len(scorer.tasks)
    apart = bench.run(
        setting,
        [
            separate_arm(recipe, count),
            separate_arm(recipe, count, *COTO.overrides, name=SEPARATE_COTO),
        ],
    ).arms
    seeds = _compare(
        "two seeds of one run, l = .5",
        lambda runs: _merge_seeds(runs, scorer),
        joint[COTO.name],
        joint[LORA.name],
    )
    tasks = [
        _compare(
            f"{count} tasks, {name}",
            lambda runs, name=name: _merge_tasks(runs, name, scorer),
            apart[SEPARATE_COTO],
            apart[SEPARATE],
        )
        for name in (*OPERATORS, "ensemble")
    ]
    return Measured([seeds, *tasks], {"rows_per_task": bench.profile.scorings})


def _compare(
    what: str,
    score: Callable[[ArmRuns], Sequence[float]],
    ours: ArmRuns,
    theirs: ArmRuns,
) -> Part:
    return part_of(f"{what}: CoTo - LoRA", score(ours), score(theirs))


def _merge_seeds(runs: ArmRuns, scorer: Scorer) -> list[float]:
    """Fuse each run with that of the next seed, in equal parts."""
    adapters = [read_adapter(Path(r.output_dir) / "adapter") for r in runs.recipes]
    pairs = zip(adapters, [*adapters[1:], adapters[0]], strict=True)
    return [scorer.mean(_merge(pair, "fuse", 0)) for pair in pairs]


def _merge_tasks(runs: ArmRuns, method: str, scorer: Scorer) -> list[float]:
    """Merge the adapters of all tasks, or what they say, per seed."""
    found: list[float] = []
    for recipe in runs.recipes:
        folders = [Path(recipe.output_dir) / task.name for task in scorer.tasks]
        adapters = [read_adapter(folder / "adapter") for folder in folders]
        if method == "ensemble":
            found.append(scorer.ensemble(adapters))
        else:
            found.append(scorer.mean(_merge(adapters, method, recipe.training.seed)))
    return found


def _merge(adapters: Sequence[Adapter], method: str, seed: int) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    # One that does not draw takes no notice of the generator.
    # Dense results are cut to the rank by a random subspace: exact ones take seconds.
    return merge_adapters(
        list(adapters), method=method, svd_iterations=4, generator=generator
    ).adapter


if __name__ == "__main__":
    main(__file__, measure)
