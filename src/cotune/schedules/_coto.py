"""CoTo: adapters are active with a probability that grows to one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from .._errors import ConfigError, unknown_name
from ._groups import Group
from ._tables import DEPTHS, EMPTY_RULES, GROUPINGS, SHAPES


@dataclass(frozen=True)
class CoTo:
    """Progressive activation: before each optimizer step, every group is on with p(t).

    p(t) = min(1, p0 + (1 - p0) * shape(t / ceil(fraction * T))), t = 0..T-1. A group
    that is off returns base(x). Nothing is rescaled by 1/p.

    Args:
        p0: p at the first step, in [0, 1]. The paper has 0, its code 0.1.
        fraction: Share of the run in which p grows (stage 1), in [0, 1].
        shape: Name in ``SHAPES``.
        depth: Name in ``DEPTHS``; ``high`` and ``low`` are the paper's H and L.
        groups: Name in ``GROUPINGS``.
        empty: What to do with a draw in which no group is on: ``force_one`` switches
            on one group, each with the same chance; ``resample`` draws again.
        seed: Decides all draws, together with the step and the names of the groups.

    Raises:
        ConfigError: Fields that do not fit; all faults in one message.

    Example:
        >>> schedule = CoTo(p0=0.1)
        >>> schedule.probability(0, 100), schedule.probability(75, 100)
        (0.1, 1.0)

    Source: CoTo (arXiv:2506.05713), section 3. Differs: never all off with p0 = 0
    (the released code would not end); masks are a function of the step, so that a
    resumed run draws the same ones.
    """

    p0: float = 0.0
    fraction: float = 0.75
    shape: str = "linear"
    depth: str = "uniform"
    groups: str = "block"
    empty: str = "force_one"
    seed: int = 0

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise ConfigError("\n".join(f"CoTo: {fault}" for fault in faults))

    def probability(self, step: int, total: int) -> float:
        """Return p(t), the probability that a group is on, before ``empty`` acts.

        Args:
            step: Optimizer step t, >= 0.
            total: Optimizer steps of the run T, >= 1.

        Raises:
            ConfigError: ``step`` or ``total`` is out of range.
        """
        if total < 1 or step < 0:
            raise ConfigError(
                f"CoTo: needs step >= 0 and total >= 1, got step {step} of {total}."
            )
        # As a decimal: 0.1 * 30 is a little more than 3 in floating point.
        rising = math.ceil(Fraction(str(self.fraction)) * total)
        if step >= rising:
            return 1.0
        return min(1.0, self.p0 + (1 - self.p0) * SHAPES[self.shape](step / rising))

    def mask(self, step: int, total: int, groups: Sequence[Group]) -> dict[str, bool]:
        """Draw which groups are on. Never all off.

        Args:
            step: Optimizer step t, >= 0.
            total: Optimizer steps of the run T, >= 1.
            groups: The groups of the model; their order makes no difference.

        Returns:
            Group name -> on.

        Raises:
            ConfigError: No groups, or ``step`` or ``total`` is out of range.
        """
        if not groups:
            raise ConfigError("CoTo: needs at least one group, got none.")
        p = self.probability(step, total)
        if p >= 1:
            return {group.name: True for group in groups}
        at_depth = DEPTHS[self.depth]
        chances = {group.name: at_depth(p, group.depth) for group in groups}
        draw = 0
        mask = self._draw(step, draw, chances)
        while not any(mask.values()) and self.empty == "resample":
            draw += 1
            mask = self._draw(step, draw, chances)
        if not any(mask.values()):
            mask[min(mask, key=lambda name: _uniform(self.seed, step, "one", name))] = (
                True
            )
        return mask

    def settings(self) -> dict[str, Any]:
        """Return the fields with the schedule's name, ready for JSON."""
        return {"name": "coto", **asdict(self)}

    def _draw(self, step: int, draw: int, chances: dict[str, float]) -> dict[str, bool]:
        return {
            name: _uniform(self.seed, step, draw, name) < p
            for name, p in chances.items()
        }

    def _faults(self) -> Iterator[str]:
        for name in ("p0", "fraction"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                yield f"{name} must be in [0, 1], got {value!r}."
        tables = {
            "shape": SHAPES,
            "depth": DEPTHS,
            "groups": GROUPINGS,
            "empty": EMPTY_RULES,
        }
        for name, known in tables.items():
            value = getattr(self, name)
            if value not in known:
                yield f"{name}: {unknown_name(name, value, known)}"
        if self.p0 == 0 and self.empty == "resample":
            yield (
                "p0 must be > 0 with empty='resample', got 0: the first draw would "
                "never end. Use empty='force_one', or p0=0.1."
            )
        elif self.p0 == 0 and self.shape == "constant":
            yield (
                "p0 must be > 0 with shape='constant', got 0: p would stay 0. "
                "Set p0 to the share of groups that shall be on."
            )


def _uniform(*key: object) -> float:
    """Hash a key to a number in [0, 1), the same on every machine.

    Not a torch generator: its draws depend on how many came before, and a mask must
    depend on the seed, the step and the group alone.
    """
    text = "/".join(map(str, ("coto", *key)))
    digest = blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
