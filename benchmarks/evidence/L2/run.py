"""Is it CoLA's structure, or only its larger steps?"""

from __future__ import annotations

from benchmarks.evidence import arms
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part
from cotune.recipes import Arm


def measure(bench: Bench) -> Measured:
    """Train CoLA beside PiSSA with the rates that CoLA's sums amount to."""
    cola = arms.COLA.name
    parts: list[Part] = []
    for setting, several in bench.options["rows"].items():
        others = [_resize(*sizes) for sizes in bench.options["sizes"].get(setting, [])]
        for rows in several:
            runs = bench.run(
                setting,
                [arms.PISSA, arms.PISSA_RATES, arms.COLA, *others],
                changes=[f"data.limits.train_rows={rows}"],
            )
            where = f"{setting}, {rows} rows per task"
            # The first only says whether there is anything to explain: that is L1.
            parts += [
                runs.part(
                    f"{where}: CoLA - {rival.name}",
                    cola,
                    rival.name,
                    counts=rival is arms.PISSA_RATES,
                )
                for rival in (arms.PISSA, arms.PISSA_RATES)
            ]
            parts += [
                runs.part(f"{where}: CoLA - {o.name}", cola, o.name, counts=False)
                for o in others
            ]
    return Measured(parts)


def _resize(M: int, N: int) -> Arm:
    sizes = (f"adapter.num_A={M}", f"adapter.num_B={N}")
    return arms.method("cola", f"CoLA ({M}, {N}) full", *sizes)


if __name__ == "__main__":
    main(__file__, measure)
