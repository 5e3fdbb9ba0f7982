"""Do the methods compose? CoLA's start, ALoRA's bank, CoLoRA's core, CoTo."""

from __future__ import annotations

from benchmarks.evidence.arms import ALORA, COLORA, COTO, LORA, method
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main

CORE = method("alora", "ALoRA + core", "adapter.core=full")
SPLIT = method("alora", "ALoRA + pissa-split", "adapter.start=pissa-split")
COTO_ALORA = method("alora", "ALoRA + CoTo", *COTO.overrides)
ALL = method(
    "alora",
    "ALoRA + core + pissa-split + CoTo",
    "adapter.core=full",
    "adapter.start=pissa-split",
    *COTO.overrides,
)


def measure(bench: Bench) -> Measured:
    """Add one thing at a time to ALoRA, and all of them at once."""
    composed = [CORE, SPLIT, COTO_ALORA, ALL]
    runs = bench.run(bench.options["setting"], [LORA, COLORA, ALORA, *composed])
    best = max((LORA, COLORA, ALORA), key=lambda arm: sum(runs.arms[arm.name].means))
    parts = [
        runs.part(f"{arm.name} - ALoRA", arm.name, ALORA.name, counts=False)
        for arm in composed
    ]
    parts += [
        runs.part(f"{arm.name} - best published ({best.name})", arm.name, best.name)
        for arm in composed
    ]
    return Measured(parts)


if __name__ == "__main__":
    main(__file__, measure)
