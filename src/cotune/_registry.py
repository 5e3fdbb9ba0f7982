"""Name tables: a name points at ``module:attribute``, imported on first use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from ._errors import ConfigError, unknown_name

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-only table from a name to a lazily imported object.

    Args:
        kind: What an entry is, in the singular; used in error messages.
        targets: Name -> ``"package.module:attribute"``. The order is kept.

    Raises:
        ConfigError: On look-up of an unknown name; the message shows the nearest.

    Example:
        >>> table = Registry("function", {"join": "os.path:join"})
        >>> table["join"]("a", "b")
        'a/b'
    """

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self._targets = dict(targets)

    def __getitem__(self, name: str) -> T:
        try:
            target = self._targets[name]
        except (KeyError, TypeError):
            raise ConfigError(unknown_name(self.kind, name, self._targets)) from None
        module, _, attribute = target.partition(":")
        return cast(T, getattr(import_module(module), attribute))

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}: {', '.join(self._targets)})"
