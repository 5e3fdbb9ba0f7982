"""What every analysis returns: numbers, as JSON, as a table, as a picture."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

Row = Mapping[str, float | int | str]


class Result(ABC):
    """The numbers of one analysis. Results are frozen dataclasses of plain values."""

    name: ClassVar[str]
    """Name in ``ANALYSES``."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Return the few numbers that say it all; plain values, ready for JSON."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return all numbers as the rows of one table, all with the same columns."""

    @abstractmethod
    def draw(self, axes: Any) -> None:
        """Draw the numbers.

        Args:
            axes: Empty axes of matplotlib; they are changed.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return name, summary and rows; a number that is not finite is None."""
        document = {
            "analysis": self.name,
            "summary": self.summary(),
            "rows": self.rows(),
        }
        return _plain(document)

    def to_json(self) -> str:
        """Return everything as one JSON document."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_frame(self) -> DataFrame:
        """Return the rows as a table of pandas."""
        from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

        return DataFrame([dict(row) for row in self.rows()])

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the numbers and write the picture, in one move.

        Args:
            path: File to write; its suffix picks the format (png, svg, pdf).

        Returns:
            The path.

        Raises:
            ConfigError: matplotlib is not installed, or the suffix is unknown to it.
        """
        from ._draw import write_picture

        return write_picture(self.draw, path)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value)
        return {str(key): _plain(inner) for key, inner in entries.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in cast("Sequence[Any]", value)]
    return value
