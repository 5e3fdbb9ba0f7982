"""What an experiment returns: numbers, the rule they were judged by, a picture."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
        rows: All measured numbers, one mapping per cell.
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
        return write_picture((self,), path)

    def draw(self, axes: Axes) -> None:
        """Draw the rows into a matplotlib axes, which is changed."""
        how = self.picture
        for key in dict.fromkeys(str(row.get(how.by, "")) for row in self.rows):
            mine = [row for row in self.rows if str(row.get(how.by, "")) == key]
            values = [[row[column] for row in mine] for column in (how.x, how.y)]
            axes.plot(*values, marker="o", label=key)
        axes.set(xlabel=how.x, ylabel=how.y)
        axes.set_title(f"{self.name}: {'holds' if self.passed else 'does not hold'}")
        axes.set_xscale("log") if how.log_x else None
        axes.set_yscale("log") if how.log_y else None
        if how.by:
            axes.legend(title=how.by, fontsize="small")


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
        return write_picture(self.findings, path)


def write_picture(
    findings: tuple[Finding, ...], path: str | os.PathLike[str], *, columns: int = 3
) -> Path:
    """Draw findings in a grid and write the picture in one move.

    Args:
        findings: At least one.
        path: File to write; its suffix picks the format.
        columns: Most pictures in a row.

    Returns:
        The path.

    Raises:
        ConfigError: matplotlib is not installed, or there are no findings.
    """
    if not findings:
        raise ConfigError("write_picture: findings must not be empty, got ().")
    columns = min(columns, len(findings))
    rows = math.ceil(len(findings) / columns)
    figure = _new_figure(5.2 * columns, 3.8 * rows)
    for number, finding in enumerate(findings, start=1):
        finding.draw(figure.add_subplot(rows, columns, number))
    path = Path(path)
    handle, partial = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(partial, dpi=110)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
    return path


def _new_figure(width: float, height: float) -> Figure:
    # Figure itself, not pyplot: no window system, no global list of open figures.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib must be installed, got no such package. "
            "Run: pip install 'cotune[plot]'."
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _plain(value: float | int | str) -> float | int | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
