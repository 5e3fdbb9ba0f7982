"""Public names of a package that are imported when they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(
    package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Its ``__name__``.
        places: Public name -> module below the package that has it.

    Returns:
        Both functions. The first raises AttributeError for other names.

    Example:
        >>> __getattr__, __dir__ = lazy(__name__, {"train": "_train"})
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{places[name]}", package), name)

    def list_names() -> list[str]:
        return sorted([*vars(sys.modules[package]), *places])

    return find, list_names
