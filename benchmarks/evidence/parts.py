"""The verdict of a line: parts that were measured, and the rule that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from benchmarks.intervals import mean_interval
from cotune import ConfigError
from cotune.recipes import Difference

Outcome = Literal["holds", "open", "reversed", "at chance"]

HOLDS = "holds"
IN_PART = "holds in part"
FAILS = "does not hold here"
NOT_TESTABLE = "not testable here"
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Part:
    """One number of a line, and what it must exceed for the claim.

    Args:
        what: What was compared, in words.
        value: What was measured.
        reference: What it is compared with: another arm, or a fixed number.
        difference: value - reference, averaged over seeds.
        low: Lower end of its 95 % interval.
        high: Upper end.
        margin: The difference must exceed this; below 0 for "at least equal".
        at_chance: No arm can be told from guessing, so the part decides nothing.
        counts: Whether the verdict reads it; else it is only context.
        less: The claim wants less, not more: the difference must lie below the margin.
        rule: A fixed rule that was checked instead, in words; empty where the interval
            decides.
        passed: Whether the value keeps the rule.
    """

    what: str
    value: float
    reference: float
    difference: float
    low: float
    high: float
    margin: float = 0.0
    at_chance: bool = False
    counts: bool = True
    less: bool = False
    rule: str = ""
    passed: bool = True

    @property
    def outcome(self) -> Outcome:
        """Say what the interval says about the claim."""
        if self.at_chance:
            return "at chance"
        if self.rule:
            return "holds" if self.passed else "reversed"
        above, below = self.low > self.margin, self.high < self.margin
        if not above and not below:
            return "open"
        return "holds" if above is not self.less else "reversed"

    def as_dict(self) -> dict[str, Any]:
        """Return everything, the outcome too, as JSON can hold it."""
        return {**asdict(self), "outcome": self.outcome}


def read_part(values: Mapping[str, Any]) -> Part:
    """Read a part from JSON; the outcome is derived again."""
    return Part(**{k: v for k, v in values.items() if k != "outcome"})


def decide(parts: Sequence[Part]) -> str:
    """Derive the verdict of a line.

    Returns:
        ``holds`` if every deciding part does, ``holds in part`` if some do, ``does not
        hold here`` if none does, ``not testable here`` if none decides anything.
    """
    deciding = [p for p in parts if p.counts and p.outcome != "at chance"]
    if not deciding:
        return NOT_TESTABLE
    held = sum(part.outcome == "holds" for part in deciding)
    if held == len(deciding):
        return HOLDS
    return IN_PART if held else FAILS


def part_of(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float] | float,
    *,
    margin: float = 0.0,
    at_chance: bool = False,
    counts: bool = True,
    less: bool = False,
) -> Part:
    """Compare one number per seed with another, or with a fixed one, in pairs.

    Args:
        what: What was compared.
        ours: One number per seed (or per other repetition), at least two.
        theirs: The same seeds, or one fixed number.
        margin: As in :class:`Part`.
        at_chance: As in :class:`Part`.
        counts: As in :class:`Part`.
        less: As in :class:`Part`.

    Raises:
        ConfigError: There are fewer than two numbers, or not as many on both sides.
    """
    other = [theirs] * len(ours) if isinstance(theirs, (int, float)) else list(theirs)
    gap = _difference_of_numbers(what, ours, other)
    return part_from(
        what,
        fmean(ours),
        fmean(other),
        gap,
        margin=margin,
        at_chance=at_chance,
        counts=counts,
        less=less,
    )


def _difference_of_numbers(
    what: str, ours: Sequence[float], theirs: Sequence[float]
) -> Difference:
    """Estimate a mean difference, paired, where a run gave one number."""
    if len(ours) < 2 or len(theirs) != len(ours):
        raise ConfigError(
            f"{what}: both sides must have as many numbers, at least 2, got "
            f"{len(ours)} and {len(theirs)}. Run more seeds."
        )
    gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
    return Difference(fmean(gaps), *mean_interval(gaps))


def part_from(
    what: str,
    value: float,
    reference: float,
    gap: Difference,
    *,
    margin: float = 0.0,
    at_chance: bool = False,
    counts: bool = True,
    less: bool = False,
) -> Part:
    """Make a part of a difference with its interval."""
    return Part(
        what,
        value,
        reference,
        gap.mean,
        gap.low,
        gap.high,
        margin,
        at_chance,
        counts,
        less,
    )


def part_by_rule(what: str, value: float, rule: str, passed: bool) -> Part:
    """Make a part of a number that a fixed rule judges, without an interval."""
    return Part(what, value, value, 0.0, 0.0, 0.0, rule=rule, passed=passed)
