"""Fed-ALoRA against FedIT: the same scores with half the traffic?"""

from __future__ import annotations

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.federation import MARGIN, run_federations
from benchmarks.evidence.parts import Part, part_by_rule

OURS, THEIRS = "fed-alora", "fedit"


def measure(bench: Bench) -> Measured:
    """Run the same clients, one task each, with all aggregations."""
    parts: list[Part] = []
    described = []
    for setting in bench.options["settings"]:
        found = run_federations(bench, setting, bench.options["aggregations"])
        parts += found.parts("Fed-ALoRA - FedIT", OURS, THEIRS)
        share = found.traffic(OURS, THEIRS)
        what = f"{setting}, traffic, share of FedIT's"
        parts.append(part_by_rule(what, share, "<= .5", share <= 0.5))
        described.append(found.describe())
    return Measured(parts, {"margin": MARGIN, "federations": described})


if __name__ == "__main__":
    main(__file__, measure)
