"""Finished evaluations, so that an interrupted analysis goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from .._errors import ConfigError
from .._files import write_text

Progress = Callable[[int, int], None]
"""Told after every evaluation: how many are done, and how many there are at most."""


class EvaluationCache:
    """Numbers by key, in memory and, if wanted, in a JSON-lines file.

    Each number is on disk before the next evaluation begins. The first line of the file
    says what was evaluated; a file about something else is refused, never reused.

    Args:
        path: The file; made with the first number. None keeps numbers in memory only.
        fingerprint: What the numbers depend on beside their keys: adapters, rows,
            metric.

    Raises:
        ConfigError: The file holds numbers of something else, or cannot be read.

    Example:
        >>> cache = EvaluationCache()
        >>> cache.get_or_compute("all on", lambda: 0.5)
        0.5
        >>> cache.get_or_compute("all on", lambda: 1 / 0)
        0.5
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, fingerprint: str = ""
    ) -> None:
        self.path = None if path is None else Path(path)
        self.fingerprint = fingerprint
        self._numbers: dict[str, float] = {}
        if self.path is not None and self.path.is_file():
            self._read(self.path)
        self.found = len(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: object) -> bool:
        return key in self._numbers

    def get_or_compute(self, key: str, compute: Callable[[], float]) -> float:
        """Return the number of a key, computed only if it is not there yet.

        Args:
            key: What is evaluated.
            compute: Evaluates it.
        """
        if key not in self._numbers:
            self.add({key: float(compute())})
        return self._numbers[key]

    def add(self, numbers: Mapping[str, float]) -> None:
        """Keep numbers.

        Args:
            numbers: Key -> number. A key that is there is replaced.
        """
        self._numbers.update(numbers)
        if self.path is None:
            return
        if not self.path.is_file():
            head = {"fingerprint": self.fingerprint}
            write_text(self.path, json.dumps(head) + "\n")
        lines = [json.dumps({"key": key, "value": numbers[key]}) for key in numbers]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        try:
            head, *entries = [
                cast("dict[str, Any]", json.loads(line)) for line in whole.splitlines()
            ]
            found = head["fingerprint"]
            self._numbers = {str(e["key"]): float(e["value"]) for e in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: must hold one evaluation per line, got something else. "
                "Delete it to evaluate anew."
            ) from error
        if found != self.fingerprint:
            raise ConfigError(
                f"{path}: must hold evaluations of the same adapters, rows and "
                "settings, got those of others. Choose another output, or delete it."
            )
        if whole != text:
            # The process died while it wrote the last line.
            write_text(path, whole)


def memory_cache(cache: EvaluationCache | None) -> EvaluationCache:
    """Return the cache, or a new one in memory."""
    return EvaluationCache() if cache is None else cache
