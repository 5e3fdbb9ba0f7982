"""What an experiment returns: numbers, the rule they were judged by, a picture."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Row = Mapping[str, float | int | str]


class Result(Protocol):
    """What every entry of ``LAB`` returns: one finding, or a group of them."""

    @property
    def name(self) -> str:
        """Return the name in ``LAB``."""
        ...

    @property
    def passed(self) -> bool:
        """Say whether the claim holds by its rule."""
        ...

    def to_json(self) -> str:
        """Return everything as one JSON document."""
        ...

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Write a picture and return its path."""
        ...


@dataclass(frozen=True)
class Check:
    """One number and the interval that it must lie in.

    Args:
        what: What the number is, in words.
        value: The number. NaN fails.
        low: Least value that passes.
        high: Largest value that passes.
        strict: Whether the bounds themselves fail.
    """

    what: str
    value: float
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    @property
    def passed(self) -> bool:
        """Say whether the number lies in the interval."""
        if self.strict:
            return self.low < self.value < self.high
        return self.low <= self.value <= self.high

    @property
    def rule(self) -> str:
        """Return the interval in words, e.g. ``>= 0.9``."""
        equal = "" if self.strict else "="
        low = f">{equal} {self.low:g}" if self.low > -math.inf else ""
        high = f"<{equal} {self.high:g}" if self.high < math.inf else ""
        return " and ".join(bound for bound in (low, high) if bound)

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        return f"{verdict}  {self.what}: {self.value:.4g} (rule: {self.rule})"


@dataclass(frozen=True)
class Picture:
    """Which columns of the rows make the picture.

    Args:
        x: Column on the horizontal axis; text becomes categories.
        y: Column on the vertical axis.
        by: Column that separates the lines; empty for one line.
        log_x: Logarithmic horizontal axis.
        log_y: Logarithmic vertical axis.
    """

    x: str
    y: str
    by: str = ""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Finding:
    """The outcome of one experiment.

    Args:
        name: Name in ``LAB``.
        claim: What was tested, in one sentence.
        checks: The rule, number by number.
        rows: All measured numbers, one mapping per cell. Errors of fits that fail are
            not repeatable to the last digit: there rounding grows without bound.
        settings: Sizes and seeds that repeat the run.
        picture: How the rows are drawn.
    """

    name: str
    claim: str
    checks: tuple[Check, ...]
    rows: tuple[Row, ...]
    settings: Row
    picture: Picture

    @property
    def passed(self) -> bool:
        """Say whether every check passed."""
        return all(check.passed for check in self.checks)

    def __str__(self) -> str:
        verdict = "holds" if self.passed else "DOES NOT HOLD"
        lines = [f"{self.name}: {verdict}. {self.claim}"]
        return "\n  ".join([*lines, *map(str, self.checks)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; a number that is not finite is None."""
        checks = [
            {
                "what": check.what,
                "value": _plain(check.value),
                "rule": check.rule,
                "passed": check.passed,
            }
            for check in self.checks
        ]
        return {
            "name": self.name,
            "claim": self.claim,
            "passed": self.passed,
            "checks": checks,
            "rows": [{k: _plain(v) for k, v in row.items()} for row in self.rows],
            "settings": dict(self.settings),
        }

    def to_json(self) -> str:
        """Return everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the rows and write the picture.

        Args:
            path: File to write; its suffix picks the format (png, svg, pdf).

        Returns:
            The path.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        from ._draw import write_picture

        return write_picture((self,), path)


@dataclass(frozen=True)
class FindingGroup:
    """The outcomes of all experiments of one group.

    Args:
        name: Name of the group in ``LAB``.
        findings: One per experiment, in the order of ``LAB``.
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Say whether every finding passed."""
        return all(finding.passed for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))

    def to_json(self) -> str:
        """Return all findings as one JSON document."""
        document = {
            "name": self.name,
            "passed": self.passed,
            "findings": [finding.to_dict() for finding in self.findings],
        }
        return json.dumps(document, indent=1, allow_nan=False)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw all findings side by side and write the picture.

        Args:
            path: File to write; its suffix picks the format (png, svg, pdf).

        Returns:
            The path.

        Raises:
            ConfigError: matplotlib is not installed, or the group is empty.
        """
        from ._draw import write_picture

        return write_picture(self.findings, path)


def _plain(value: float | int | str) -> float | int | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
