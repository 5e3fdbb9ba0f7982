"""Fed-ALoRA with clients of different ranks, against zero padding."""

from __future__ import annotations

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.federation import MARGIN, run_federations
from benchmarks.evidence.parts import Part, part_by_rule

OURS, THEIRS = "fed-alora-any", "zeropad"


def measure(bench: Bench) -> Measured:
    """Run clients of several ranks with both aggregations."""
    ranks = f"federated.ranks={bench.options['ranks']}"
    parts: list[Part] = []
    described = []
    for setting in bench.options["settings"]:
        found = run_federations(bench, setting, (OURS, THEIRS), ranks)
        parts += found.parts("Fed-ALoRA - zero padding", OURS, THEIRS)
        share = found.traffic(OURS, THEIRS)
        what = f"{setting}, traffic, share of padding's"
        parts.append(part_by_rule(what, share, "< 1", share < 1))
        parts += found.parts_over_clients("Fed-ALoRA - zero padding", OURS, THEIRS)
        described.append(found.describe())
    return Measured(parts, {"margin": MARGIN, "federations": described})


if __name__ == "__main__":
    main(__file__, measure)
