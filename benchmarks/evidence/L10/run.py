"""ALoRA against HydraLoRA: mean, worst task, and change against training alone."""

from __future__ import annotations

from benchmarks.evidence.arms import ALORA, HYDRA, LORA, SEPARATE
from benchmarks.evidence.bench import Bench, Runs, separate_arm
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from benchmarks.evidence.record import multi_task_change


def measure(bench: Bench) -> Measured:
    """Train both on a family and on three families, with the usual baselines."""
    parts: list[Part] = []
    for setting in bench.options["settings"]:
        count = len(bench.tasks(setting))
        alone = separate_arm(bench.recipe(setting), count)
        runs = bench.run(setting, [LORA, ALORA, HYDRA, alone])
        parts += _parts(setting, runs)
    return Measured(parts)


def _parts(setting: str, runs: Runs) -> list[Part]:
    alora, hydra, alone = (
        runs.arms[name] for name in (ALORA.name, HYDRA.name, SEPARATE)
    )
    pair = "ALoRA - HydraLoRA"
    chance = runs.is_at_chance(ALORA.name, HYDRA.name)
    return [
        runs.part(f"{setting}, mean: {pair}", ALORA.name, HYDRA.name),
        part_of(
            f"{setting}, worst task: {pair}",
            alora.worsts,
            hydra.worsts,
            at_chance=chance,
        ),
        part_of(
            f"{setting}, dm%: {pair}",
            multi_task_change(alora, alone),
            multi_task_change(hydra, alone),
            at_chance=chance,
            less=True,
        ),
        runs.part(
            f"{setting}, mean: ALoRA - LoRA", ALORA.name, LORA.name, counts=False
        ),
        runs.part(
            f"{setting}, mean: ALoRA - alone", ALORA.name, SEPARATE, counts=False
        ),
    ]


if __name__ == "__main__":
    main(__file__, measure)
