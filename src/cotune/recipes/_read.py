"""From a YAML file and overrides to a checked recipe; all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from .._errors import ConfigError, unknown_name
from ._recipe import Recipe


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check it.

    Args:
        source: A YAML file, or the name of a shipped recipe; see :func:`list_recipes`.
        overrides: ``section.key=value``, the value in YAML; later ones win.

    Returns:
        The recipe. Relative paths in it start at the current folder.

    Raises:
        ConfigError: No such recipe, no valid YAML, or faults in it: all of them, each
            with its place, and with the nearest known key for a wrong one.

    Example:
        ``read_recipe("cola", ["training.learning_rate=1e-4", "data.root=my/data"])``
    """
    path = find_recipe(source)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: must be valid YAML, got: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: must hold keys and values, got {type(values).__name__}. "
            f"Start with the sections {', '.join(Recipe.model_fields)}."
        )
    return check_recipe(override(values, overrides), str(path))


def check_recipe(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Check the content of a recipe.

    Args:
        values: As read from YAML.
        where: What to call it in messages.

    Raises:
        ConfigError: Faults; all of them in one message, a line each.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = list(_describe(error))
        count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise ConfigError(f"{where}: {count}:\n{lines}") from None


def find_recipe(source: str | Path) -> Path:
    """Return the file of a recipe: a path, or the name of a shipped one.

    Raises:
        ConfigError: Neither; shows the nearest names.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    shipped = list_recipes()
    if str(source) in shipped:
        return shipped[str(source)]
    raise ConfigError(
        f"{source}: must be a file or a shipped recipe, got neither. "
        + unknown_name("recipe", source, shipped)
    )


def list_recipes() -> dict[str, Path]:
    """Return the shipped recipes, by name; a recipe in a folder is ``folder/name``."""
    top = Path(str(files(__package__)))
    found = sorted(top.rglob("*.yaml"))
    return {str(path.relative_to(top).with_suffix("")): path for path in found}


def override(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return the content of a recipe with some values replaced.

    Args:
        values: As read from YAML. Not changed.
        overrides: ``section.key=value``; a number in the path picks from a list.

    Raises:
        ConfigError: No ``=``, no valid YAML, or a path through something that has no
            keys.
    """
    changed = deepcopy(dict(values))
    for text in overrides:
        path, equals, raw = text.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"--set: must be section.key=value, got {text!r}.")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text}: not valid YAML: {error}") from error
        _put(changed, path.strip().split("."), _number(value), text)
    return changed


def _number(value: Any) -> Any:
    """Read 1e-4 as a number; YAML 1.1 wants 1.0e-4."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if "e" in value.lower() else value
    except ValueError:
        return value


def _put(values: Any, path: list[str], value: Any, text: str) -> None:
    for step in path[:-1]:
        values = _step_into(values, step, text)
    last = path[-1]
    if isinstance(values, list) and last.isdigit() and int(last) < len(values):
        values[int(last)] = value
    elif isinstance(values, dict):
        values[last] = value
    else:
        raise ConfigError(f"--set {text}: {last} does not lead anywhere.")


def _step_into(values: Any, step: str, text: str) -> Any:
    if isinstance(values, list) and step.isdigit() and int(step) < len(values):
        return values[int(step)]
    if isinstance(values, dict):
        inner = values.get(step)
        if inner is None:
            values[step] = inner = {}
        return inner
    raise ConfigError(f"--set {text}: {step} does not lead anywhere.")


def _describe(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = _known_keys(fault["loc"][:-1])
            message = unknown_name("key", fault["loc"][-1], known)
        else:
            message = fault["msg"].removeprefix("Value error, ")
            if fault["type"] not in ("value_error", "missing"):
                message += f", got {fault['input']!r}"
        yield f"{place}: {message}" if place else message


def _known_keys(place: Sequence[int | str]) -> list[str]:
    """Return the keys of the section at a place in the recipe."""
    model: Any = Recipe
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _section(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
