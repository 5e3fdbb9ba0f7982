"""CoLoRA recovers the truth from few samples per user: checks E1 to E7."""

from __future__ import annotations

import json
from typing import cast

from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import part_by_rule
from cotune.theory import LAB, Finding, FindingGroup


def measure(bench: Bench) -> Measured:
    """Run the linear laboratory at full size, and take over its checks."""

    def tell(finding: Finding) -> None:
        bench.report(str(finding))

    found = cast(FindingGroup, LAB["linear"](tell=tell))
    parts = [
        part_by_rule(f"{one.name}: {c.what}", c.value, c.rule, c.passed)
        for one in found.findings
        for c in one.checks
    ]
    return Measured(parts, {"findings": json.loads(found.to_json())["findings"]})


if __name__ == "__main__":
    main(__file__, measure)
