"""One way to merge or to prune, as a curve or a table shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from .._errors import ConfigError


@dataclass(frozen=True)
class Trial:
    """An operator with its options.

    Args:
        operator: Name in ``MERGE`` or ``PRUNE``.
        options: Its keyword-only arguments.

    Example:
        >>> Trial("magnitude", {"sparsity": 0.5}).title
        'magnitude sparsity=0.5'
    """

    operator: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def setting(self) -> str:
        """Return the options as text."""
        return " ".join(f"{name}={_text(v)}" for name, v in self.options.items())

    @property
    def title(self) -> str:
        """Return operator and options as text; the key of its evaluations."""
        return f"{self.operator} {self.setting}".strip()


def check_trials(where: str, trials: Sequence[Trial]) -> None:
    """Refuse no trials at all, and one that comes twice.

    Args:
        where: Name of the analysis, for the message.
        trials: The trials.

    Raises:
        ConfigError: None, or two with the same operator and options.
    """
    titles = [trial.title for trial in trials]
    again = sorted({title for title in titles if titles.count(title) > 1})
    if not titles or again:
        raise ConfigError(
            f"{where}: at least one trial is needed and each once, got "
            f"{', '.join(again) + ' twice' if again else 'none'}."
        )


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        entries = [_text(entry) for entry in cast("Sequence[object]", value)]
        alike = len(entries) > 2 and len(set(entries)) == 1
        return f"{len(entries)}x{entries[0]}" if alike else ",".join(entries)
    return f"{value:g}" if isinstance(value, float) else str(value)
