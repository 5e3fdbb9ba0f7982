"""Changes to a recipe from the command line: ``section.key=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from .._errors import ConfigError
from ._yaml import parse_yaml


def override(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return the content of a recipe with some values replaced.

    Args:
        values: As read from YAML. Not changed.
        overrides: ``section.key=value``, the value in YAML; a number in the path picks
            from a list. Later ones win.

    Returns:
        A new content.

    Raises:
        ConfigError: No ``=``, no valid YAML, or a path through something that has no
            keys.

    Example:
        >>> override({"adapter": {"r": 8}}, ["adapter.r=4", "training.seed=1"])
        {'adapter': {'r': 4}, 'training': {'seed': 1}}
    """
    changed = deepcopy(dict(values))
    for text in overrides:
        path, equals, raw = text.partition("=")
        steps = path.strip().split(".")
        if not equals or not all(steps):
            raise ConfigError(
                f"--set: must be section.key=value, got {text!r}. Write it like "
                "training.learning_rate=1e-4."
            )
        _put(changed, steps, parse_yaml(raw, f"--set {text}"), f"--set {text}")
    return changed


def _put(values: Any, path: list[str], value: Any, where: str) -> None:
    *steps, last = path
    for done, step in enumerate(steps):
        place = ".".join(path[:done]) or "the recipe"
        values = _step_into(values, step, f"{where}: {place}")
    place = f"{where}: {'.'.join(steps) or 'the recipe'}"
    if isinstance(values, list):
        values[_index(values, last, place)] = value
    elif isinstance(values, dict):
        values[last] = value
    else:
        raise _no_way(place, values)


def _step_into(values: Any, step: str, place: str) -> Any:
    if isinstance(values, list):
        return values[_index(values, step, place)]
    if not isinstance(values, dict):
        raise _no_way(place, values)
    if values.get(step) is None:
        values[step] = {}
    return values[step]


def _index(values: list[Any], step: str, place: str) -> int:
    if step.isdigit() and int(step) < len(values):
        return int(step)
    raise ConfigError(
        f"{place} must be given a place from 0 to {len(values) - 1}, got {step!r}. "
        "Count from 0."
    )


def _no_way(place: str, values: Any) -> ConfigError:
    return ConfigError(
        f"{place} must be a section or a list, got {values!r}. Shorten the path."
    )
