"""CoLA against LoRA and PiSSA, with a share of the training labels wrong."""

from __future__ import annotations

from statistics import fmean

from benchmarks.evidence import arms
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.cells import Rows
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_from
from benchmarks.evidence.runs import Runs
from cotune.recipes import paired_difference

OURS, RIVALS = arms.COLA.name, (arms.LORA.name, arms.PISSA.name)


def measure(bench: Bench) -> Measured:
    """Train all arms on right labels, then on wrong ones at every share."""
    setting = bench.options["setting"]
    methods = [arms.LORA, arms.PISSA, arms.COLA]
    clean = bench.run(setting, methods)
    parts: list[Part] = []
    for share in bench.options["shares"]:
        noisy = bench.run(setting, methods, changes=[f"data.label_noise={share}"])
        where = f"{setting}, {100 * share:g} % wrong labels"
        parts += [compare_losses(where, clean, noisy, rival) for rival in RIVALS]
        parts += [
            noisy.part(f"{where}, accuracy: CoLA - {rival}", OURS, rival, counts=False)
            for rival in RIVALS
        ]
    return Measured(parts)


def compare_losses(where: str, clean: Runs, noisy: Runs, rival: str) -> Part:
    """Compare what wrong labels cost CoLA and a rival, row by row and seed by seed.

    Args:
        where: Setting and share, for the part's title.
        clean: Trained on right labels.
        noisy: Trained on wrong ones, on the same rows and seeds.
        rival: Name of the other arm.

    Returns:
        CoLA's loss of accuracy against the rival's; the claim wants less.
    """
    ours, theirs = (_losses(clean, noisy, name) for name in (OURS, rival))
    at_chance = any(runs.is_at_chance(OURS, rival) for runs in (clean, noisy))
    return part_from(
        f"{where}, loss of accuracy: CoLA - {rival}",
        _mean(ours),
        _mean(theirs),
        paired_difference(ours, theirs),
        at_chance=at_chance,
        less=True,
    )


def _losses(clean: Runs, noisy: Runs, name: str) -> list[Rows]:
    """Return, per seed, how much less every test row scores than with right labels."""
    pairs = zip(clean.arms[name].rows, noisy.arms[name].rows, strict=True)
    return [
        {
            task: [a - b for a, b in zip(right[task], wrong[task], strict=True)]
            for task in right
        }
        for right, wrong in pairs
    ]


def _mean(seeds: list[Rows]) -> float:
    return fmean(fmean(fmean(rows) for rows in seed.values()) for seed in seeds)


if __name__ == "__main__":
    main(__file__, measure)
