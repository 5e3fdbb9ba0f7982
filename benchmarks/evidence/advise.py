"""Write docs/which_method.md: advice that the records carry, and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from benchmarks.evidence.bench import HERE
from benchmarks.evidence.parts import HOLDS, IN_PART, NOT_RUN

NO_ADVICE = "No advice: not run yet."


def read_advice() -> list[Mapping[str, Any]]:
    """Read the rows of ``advice.yaml``."""
    return yaml.safe_load((HERE / "advice.yaml").read_text(encoding="utf-8"))


def advise(row: Mapping[str, Any], verdict: str) -> str:
    """Return the advice of a row under a verdict.

    Args:
        row: Of ``advice.yaml``.
        verdict: Of its line.
    """
    if verdict == NOT_RUN:
        return NO_ADVICE
    if verdict in (HOLDS, IN_PART) and verdict in row:
        return str(row[verdict])
    return str(row["weak"])


def build_advice(verdicts: Mapping[str, str], advisor: Sequence[str]) -> str:
    """Write the page.

    Args:
        verdicts: Line -> verdict.
        advisor: What the task advisor was found to be worth, one sentence each.
    """
    rows = [["situation", "advice", "line", "verdict"], ["---"] * 4]
    rows += [
        [
            row["situation"],
            advise(row, verdicts[row["line"]]),
            f"[{row['line']}](EVIDENCE.md)",
            verdicts[row["line"]],
        ]
        for row in read_advice()
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    start = (HERE / "which_method.md").read_text(encoding="utf-8")
    checked = "\n".join(f"- {one}" for one in advisor) or "- Not run yet."
    return f"{start}\n{table}\n\n## Is the task advisor right?\n\n{checked}\n"
