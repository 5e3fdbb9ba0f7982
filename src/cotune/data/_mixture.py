"""How many rows each task gives to an epoch. One line of the table per mixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pydantic import Field

from .._errors import ConfigError
from .._registry import Registry
from ._spec import ChoiceSpec

Shares = dict[str, float]

MIXTURES: Registry[Callable[..., Shares]] = Registry(
    "mixture",
    {
        "proportional": "cotune.data._mixture:mix_proportionally",
        "uniform": "cotune.data._mixture:mix_uniformly",
        "temperature": "cotune.data._mixture:mix_by_temperature",
    },
)


class MixtureSpec(ChoiceSpec):
    """How the training rows of several tasks are mixed."""

    table = MIXTURES

    name: str = Field(
        default="proportional",
        description="proportional: by number of rows. uniform: the same from every "
        "task. temperature: by (number of rows) ^ (1 / temperature).",
    )
    temperature: float | None = Field(
        default=None,
        ge=1,
        description="For mixture temperature: 1 is proportional, large is uniform. "
        "Default 2.",
    )
    epoch_rows: int | None = Field(
        default=None,
        ge=1,
        description="Rows of one epoch, over all tasks; at least one per task. "
        "None: the number of training rows.",
    )

    def shares(self, sizes: Mapping[str, int]) -> Shares:
        """Compute each task's share of an epoch.

        Args:
            sizes: Task name -> number of training rows.

        Returns:
            Task name -> share; they sum to 1.
        """
        return MIXTURES[self.name](sizes, **self.options)


def mix_proportionally(sizes: Mapping[str, int]) -> Shares:
    """Give each task a share in proportion to its rows, n / sum n.

    Args:
        sizes: Task name -> number of training rows.

    Returns:
        Task name -> share.
    """
    return mix_by_temperature(sizes, temperature=1.0)


def mix_uniformly(sizes: Mapping[str, int]) -> Shares:
    """Give each task the same share, 1 / number of tasks.

    Args:
        sizes: Task name -> number of training rows.

    Returns:
        Task name -> share.
    """
    return dict.fromkeys(sizes, 1 / len(sizes))


def mix_by_temperature(sizes: Mapping[str, int], *, temperature: float = 2.0) -> Shares:
    """Give each task a share n^(1/T) / sum n^(1/T).

    Args:
        sizes: Task name -> number of training rows.
        temperature: T, at least 1; 1 is proportional, infinity uniform.

    Returns:
        Task name -> share.

    Source: arXiv:1910.10683, section 3.5.2 (temperature-scaled mixing); without the
    limit on n that the paper adds.
    """
    # Through logarithms, so that no power overflows.
    logs = {name: math.log(size) / temperature for name, size in sizes.items()}
    top = max(logs.values())
    powers = {name: math.exp(log - top) for name, log in logs.items()}
    total = math.fsum(powers.values())
    return {name: power / total for name, power in powers.items()}


def count_rows(shares: Mapping[str, float], epoch_rows: int) -> dict[str, int]:
    """Turn shares into whole numbers of rows.

    Every task gets one row; the rest is dealt out by largest remainder.

    Args:
        shares: Task name -> share; they sum to 1.
        epoch_rows: Rows of one epoch, at least the number of tasks.

    Returns:
        Task name -> rows; they sum to ``epoch_rows``.

    Raises:
        ConfigError: ``epoch_rows`` is below the number of tasks.
    """
    if epoch_rows < len(shares):
        raise ConfigError(
            f"mixture.epoch_rows: an epoch must have a row of every task, got "
            f"{epoch_rows} rows for {len(shares)} tasks. Raise it."
        )
    exact = {name: share * epoch_rows for name, share in shares.items()}
    counts = {name: max(1, math.floor(rows)) for name, rows in exact.items()}
    # Positive where a task has less than its share: those are topped up first. The sum
    # is off in either direction, because small tasks were lifted to one row.
    while (gap := epoch_rows - sum(counts.values())) != 0:
        step = 1 if gap > 0 else -1
        able = [name for name in counts if step > 0 or counts[name] > 1]
        name = max(able, key=lambda name: step * (exact[name] - counts[name]))
        counts[name] += step
    return counts
