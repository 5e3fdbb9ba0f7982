"""CoTo against LoRA, without merging or pruning: is it better as it is?"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.evidence.arms import COTO, FULL, LORA
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part
from benchmarks.evidence.runs import Runs


def measure(bench: Bench) -> Measured:
    """Train both arms on every setting, with all steps and with fewer."""
    parts: list[Part] = []
    for setting in bench.options["settings"]:
        full = bench.recipe(setting).training.max_steps
        for share in bench.options["shares_of_steps"]:
            steps = round(share * full)
            changes = [f"training.max_steps={steps}"]
            runs = bench.run(setting, [LORA, COTO], changes=changes)
            what = f"{setting}, {steps} steps: CoTo - LoRA"
            parts.append(runs.part(what, COTO.name, LORA.name))
            if share == 1 and bench.options["full_rates"]:
                parts.append(_compare_full(bench, setting, changes, runs))
    return Measured(parts)


def _compare_full(bench: Bench, setting: str, changes: list[str], runs: Runs) -> Part:
    """Train the whole model too, beside the claim; it wants lower learning rates."""
    rates = bench.options["full_rates"]
    found = bench.run(setting, [FULL], changes=changes, rates=rates)
    both = replace(runs, arms={**runs.arms, **found.arms})
    what = f"{setting}: {FULL.name} - LoRA"
    return both.part(what, FULL.name, LORA.name, counts=False)


if __name__ == "__main__":
    main(__file__, measure)
