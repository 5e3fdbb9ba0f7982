"""Bad rows: which row of which file, what is wrong, and how all of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._errors import ConfigError

SHOWN_FAULTS = 20


@dataclass(frozen=True)
class RowFault:
    """One row that cannot be used.

    Args:
        where: ``file:line``. Lines count from 1; in parquet files and hub data sets,
            which have no lines, rows count from 1.
        problem: What must hold, and what came.
    """

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class RowError(ConfigError):
    """Rows of a data file that cannot be used.

    The message shows the first 20 and the number of the others; ``faults`` has all.

    Args:
        task: Name of the task that the rows belong to.
        faults: The bad rows, in file order; at least one.
        total: Number of rows read, good and bad.
    """

    def __init__(self, task: str, faults: Sequence[RowFault], total: int) -> None:
        self.faults = tuple(faults)
        lines = [
            f"task {task!r}: every row must be usable, got {len(faults)} bad rows of "
            f"{total}. Mend them, or set on_bad_row: skip to leave them out.",
            *(f"  {fault}" for fault in self.faults[:SHOWN_FAULTS]),
        ]
        hidden = len(self.faults) - SHOWN_FAULTS
        if hidden > 0:
            lines.append(f"  ... and {hidden} more.")
        super().__init__("\n".join(lines))
