"""Rows to a ``datasets.Dataset``, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from datasets import Dataset, Features

PIECE = 2000


def build_dataset(rows: Iterable[dict[str, Any]], features: Features) -> Dataset:
    """Collect rows into a data set in memory, as Arrow columns.

    Args:
        rows: Dicts with the keys of ``features``. Only 2000 of them are held as Python
            objects at any time.
        features: Column -> type.

    Returns:
        A data set with these columns, in this order; possibly without rows.
    """
    from datasets import Dataset, concatenate_datasets

    pieces = [_build_piece(piece, features) for piece in _cut(rows)]
    if not pieces:
        return Dataset.from_dict({name: [] for name in features}, features=features)
    return concatenate_datasets(pieces)


def each_row(rows: Dataset) -> Iterator[dict[str, Any]]:
    """Go over the rows of a data set, with a type that a checker understands.

    Args:
        rows: The data set.

    Yields:
        Column -> value.
    """
    yield from cast("Iterable[dict[str, Any]]", rows)


def _cut(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while piece := list(islice(rows, PIECE)):
        yield piece


def _build_piece(piece: list[dict[str, Any]], features: Features) -> Dataset:
    from datasets import Dataset

    columns = {name: [row[name] for row in piece] for name in features}
    return Dataset.from_dict(columns, features=features)
