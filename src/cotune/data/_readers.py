"""Data files, row by row, with the line of each row. One reader per extension."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import ConfigError, unknown_name
from .._registry import Registry
from ._faults import RowFault
from ._values import shorten


@dataclass(frozen=True)
class RawRow:
    """A row as the file holds it.

    Args:
        where: ``file:line``; lines count from 1.
        values: Field name -> value.
    """

    where: str
    values: dict[str, Any]


RawRows = Iterator[RawRow | RowFault]
Reader = Callable[[Path], RawRows]

READERS: Registry[Reader] = Registry(
    "extension of a data file",
    {
        ".jsonl": "cotune.data._readers:read_jsonl",
        ".jsonl.gz": "cotune.data._readers:read_jsonl_gz",
        ".csv": "cotune.data._readers:read_csv",
        ".parquet": "cotune.data._readers:read_parquet",
    },
)


def get_extension(path: Path) -> str:
    """Find the extension of a data file.

    Args:
        path: The file; it need not exist.

    Returns:
        A name of :data:`READERS`.

    Raises:
        ConfigError: No reader knows the extension; the message shows the nearest.
    """
    name = path.name.lower()
    known = [extension for extension in READERS if name.endswith(extension)]
    if known:
        return max(known, key=len)
    found = "".join(Path(name).suffixes[-2:]) if name.endswith(".gz") else path.suffix
    raise ConfigError(f"{path}: {unknown_name(READERS.kind, found, READERS)}")


def read_file(path: Path) -> RawRows:
    """Read a data file row by row, without holding it in memory.

    Args:
        path: A ``.jsonl``, ``.jsonl.gz``, ``.csv`` or ``.parquet`` file.

    Yields:
        A :class:`RawRow`, or a :class:`RowFault` for a row that is not an object.

    Raises:
        ConfigError: The extension is unknown, or the file as a whole cannot be read
            (missing, broken archive, no header, not the format of its extension).
    """
    try:
        yield from READERS[get_extension(path)](path)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(
            f"{path}: the file must be readable, got {error}. "
            "Check the path, or make the file again."
        ) from error


def read_jsonl(path: Path) -> RawRows:
    """Read JSON lines: one object per line; blank lines are passed over.

    Args:
        path: A UTF-8 text file.

    Yields:
        One item per line that is not blank.
    """
    with path.open("rb") as lines:
        yield from _read_lines(path, lines)


def read_jsonl_gz(path: Path) -> RawRows:
    """Read JSON lines as :func:`read_jsonl`, from a gzip file.

    Args:
        path: A gzip file of UTF-8 text.

    Yields:
        One item per line that is not blank.
    """
    with gzip.open(path, "rb") as lines:
        yield from _read_lines(path, lines)


def _read_lines(path: Path, lines: Iterator[bytes]) -> RawRows:
    for number, line in enumerate(lines, start=1):
        # A byte-order mark, as some editors write it, is no part of the JSON.
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield _read_object(f"{path}:{number}", line)


def _read_object(where: str, line: bytes) -> RawRow | RowFault:
    try:
        values = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return RowFault(where, f"the line must be one JSON object, got {error}.")
    if not isinstance(values, dict):
        return RowFault(
            where, f"the line must be a JSON object, got {shorten(values)}."
        )
    return RawRow(where, values)


def read_csv(path: Path) -> RawRows:
    """Read a comma-separated file with a header line.

    Args:
        path: A UTF-8 text file. Cells may be quoted and hold line breaks.

    Yields:
        One item per record; every value is text. ``where`` names its first line.

    Raises:
        ConfigError: It is not comma-separated UTF-8 text, or a column comes twice.
    """
    with path.open(encoding="utf-8-sig", newline="") as text:
        # strict: a quote that nothing closes is an error, not the rest of the file.
        records = csv.reader(text, strict=True)
        try:
            header = _read_header(path, records)
            line = records.line_num + 1
            for cells in records:
                if cells:
                    yield _read_record(f"{path}:{line}", header, cells)
                line = records.line_num + 1
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}:{records.line_num + 1}: the file must be comma-separated "
                f"UTF-8 text, got {error}. Mend the line, or use .jsonl."
            ) from error


def _read_header(path: Path, records: Iterator[list[str]]) -> list[str]:
    header = next(records, [])
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ConfigError(
            f"{path}:1: every column must have its own name, got {twice[0]!r} twice. "
            "Rename one of them."
        )
    return header


def _read_record(where: str, header: list[str], cells: list[str]) -> RawRow | RowFault:
    if len(cells) != len(header):
        return RowFault(
            where,
            f"the row must have {len(header)} cells as the header has, "
            f"got {len(cells)}. Put cells that hold commas in double quotes.",
        )
    return RawRow(where, dict(zip(header, cells, strict=True)))


def read_parquet(path: Path) -> RawRows:
    """Read a parquet file, a batch of rows at a time.

    Args:
        path: The file.

    Yields:
        One item per row; ``where`` counts rows from 1.

    Raises:
        ConfigError: The file is not parquet.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1000):
                for values in batch.to_pylist():
                    number += 1
                    yield RawRow(f"{path}:{number}", values)
    except pyarrow.ArrowException as error:
        raise ConfigError(
            f"{path}: the file must be parquet, got {error}. Make the file again."
        ) from error
