"""Fed-ALoRA against FedIT: the same scores with half the traffic?"""

from __future__ import annotations

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.federation import SCORES, run_federation
from benchmarks.evidence.parts import part_by_rule, part_of

MARGIN = -0.02
"""At least equal: no more than two points of accuracy below."""


def measure(bench: Bench) -> Measured:
    """Run the same clients, one task each, with both aggregations."""
    setting, names = bench.options["setting"], bench.options["aggregations"]
    found = {
        name: run_federation(bench, setting, f"federated.aggregation={name}")
        for name in names
    }
    ours, theirs = found["fed-alora"], found["fedit"]
    parts = [
        part_of(
            f"{key.replace('_', ' ')}: Fed-ALoRA - FedIT",
            ours.means(key),
            theirs.means(key),
            margin=MARGIN,
        )
        for key in SCORES
    ]
    share = ours.bytes / theirs.bytes
    parts.append(
        part_by_rule("traffic, share of FedIT's", share, "<= .5", share <= 0.5)
    )
    extra = {name: one.as_dict() for name, one in found.items()}
    return Measured(parts, {"margin": MARGIN, "aggregations": extra})


if __name__ == "__main__":
    main(__file__, measure)
