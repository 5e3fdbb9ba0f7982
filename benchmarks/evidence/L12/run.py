"""Fed-ALoRA with clients of different ranks, against zero padding."""

from __future__ import annotations

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.federation import SCORES, run_federation
from benchmarks.evidence.L11.run import MARGIN
from benchmarks.evidence.parts import part_by_rule, part_of


def measure(bench: Bench) -> Measured:
    """Run clients of several ranks with both aggregations."""
    ranks = f"federated.ranks={bench.options['ranks']}"
    found = {
        name: run_federation(
            bench, bench.options["setting"], f"federated.aggregation={name}", ranks
        )
        for name in ("fed-alora-any", "zeropad")
    }
    ours, theirs = found["fed-alora-any"], found["zeropad"]
    parts = [
        part_of(
            f"{key.replace('_', ' ')}: Fed-ALoRA - zero padding",
            ours.means(key),
            theirs.means(key),
            margin=MARGIN,
        )
        for key in SCORES
    ]
    share = ours.bytes / theirs.bytes
    parts.append(part_by_rule("traffic, share of padding's", share, "< 1", share < 1))
    extra = {name: one.as_dict() for name, one in found.items()}
    return Measured(parts, {"margin": MARGIN, "aggregations": extra})


if __name__ == "__main__":
    main(__file__, measure)
