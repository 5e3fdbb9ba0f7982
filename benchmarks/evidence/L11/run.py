"""Fed-ALoRA against FedIT: the same scores with half the traffic?"""

from __future__ import annotations

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.federation import MARGIN, Federations, run_federations
from benchmarks.evidence.parts import Part, part_by_rule

OURS, THEIRS = "fed-alora", "fedit"
ALONE = "local"
"""Training alone: as many steps, a rate of its own choice, nothing is shared."""
TITLES = {OURS: "Fed-ALoRA", THEIRS: "FedIT"}


def measure(bench: Bench) -> Measured:
    """Run the same clients, one task each, with all aggregations."""
    parts: list[Part] = []
    described = []
    for setting in bench.options["settings"]:
        names = list(bench.options["aggregations"])
        if setting in bench.options["alone"]:
            names.append(ALONE)
        found = run_federations(bench, setting, names)
        parts += found.parts("Fed-ALoRA - FedIT", OURS, THEIRS)
        share = found.traffic(OURS, THEIRS)
        what = f"{setting}, traffic, share of FedIT's"
        parts.append(part_by_rule(what, share, "<= .5", share <= 0.5))
        parts += found.parts_over_clients("Fed-ALoRA - FedIT", OURS, THEIRS)
        parts += compare_with_alone(found)
        described.append(found.describe())
    return Measured(parts, {"margin": MARGIN, "federations": described})


def compare_with_alone(found: Federations) -> list[Part]:
    """Ask, beside the claim, whether sharing beats training alone.

    Args:
        found: All aggregations on a setting.

    Returns:
        Two parts for each side of the claim; none if training alone was not run.
    """
    if ALONE not in found.arms:
        return []
    return [
        part
        for name, title in TITLES.items()
        for part in found.parts(
            f"{title} - training alone", name, ALONE, margin=0.0, counts=False
        )
    ]


if __name__ == "__main__":
    main(__file__, measure)
