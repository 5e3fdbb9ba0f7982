"""CoLA against LoRA and PiSSA, with few training rows and with more."""

from __future__ import annotations

from benchmarks.evidence import arms
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part

VARIANTS = {
    "heuristic": arms.COLA_HEURISTIC,
    "random": arms.COLA_RANDOM,
    "split": arms.COLA_SPLIT,
    "learned": arms.COLA_LEARNED,
}


def measure(bench: Bench) -> Measured:
    """Train all arms at every number of rows."""
    cola, rivals = arms.COLA.name, (arms.LORA.name, arms.PISSA.name)
    parts: list[Part] = []
    for setting, several in bench.options["rows"].items():
        named = bench.options["variants"].get(setting, [])
        variants = [VARIANTS[name] for name in named]
        for rows in several:
            runs = bench.run(
                setting,
                [arms.LORA, arms.PISSA, arms.COLA, *variants],
                changes=[f"data.limits.train_rows={rows}"],
            )
            where = f"{setting}, {rows} rows per task"
            parts += [runs.part(f"{where}: CoLA - {r}", cola, r) for r in rivals]
            parts += [
                runs.part(f"{where}: {v.name} - {r}", v.name, r, counts=False)
                for v in variants
                for r in rivals
            ]
    return Measured(parts)


if __name__ == "__main__":
    main(__file__, measure)
