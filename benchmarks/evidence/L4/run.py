"""CoTo against LoRA, without merging or pruning: is it better as it is?"""

from __future__ import annotations

from benchmarks.evidence.arms import COTO, LORA
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part


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
    return Measured(parts)


if __name__ == "__main__":
    main(__file__, measure)
