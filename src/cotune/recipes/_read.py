"""From a YAML file and overrides to a checked recipe; all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .._errors import ConfigError, unknown_name
from ._faults import describe_faults
from ._override import override
from ._recipe import Recipe
from ._yaml import read_yaml


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check it.

    Args:
        source: A YAML file, a run folder, or the name of a shipped recipe; see
            :func:`list_recipes`.
        overrides: ``section.key=value``, the value in YAML; later ones win.

    Returns:
        The recipe. Relative paths in it start at the current folder.

    Raises:
        ConfigError: No such recipe, no valid YAML, or faults in it: all of them, each
            with its place, and with the nearest known key for a wrong one.

    Example:
        ``read_recipe("cola", ["training.learning_rate=1e-4", "data.root=my/data"])``
    """
    return check_recipe(override(read_values(source), overrides), str(source))


def read_values(source: str | Path) -> dict[str, Any]:
    """Read the content of a recipe without checking it.

    Args:
        source: As in :func:`read_recipe`.

    Returns:
        Its keys and values.

    Raises:
        ConfigError: No such recipe, or no YAML with keys and values.
    """
    path = find_recipe(source)
    values = read_yaml(path)
    if not isinstance(values, dict):
        kind = "nothing" if values is None else type(values).__name__
        raise ConfigError(
            f"{path}: must hold keys and values, got {kind}. "
            f"Start with the sections {', '.join(Recipe.model_fields)}."
        )
    return values


def check_recipe(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Check the content of a recipe.

    Args:
        values: As read from YAML.
        where: What to call it in messages.

    Returns:
        The recipe.

    Raises:
        ConfigError: Faults; all of them in one message, a line each.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = list(describe_faults(error))
        count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise ConfigError(f"{where}: {count}:\n{lines}") from None


def find_recipe(source: str | Path) -> Path:
    """Return the file of a recipe.

    Args:
        source: A path, a run folder, or the name of a shipped recipe.

    Returns:
        The file, which exists.

    Raises:
        ConfigError: None of them; shows the nearest names.
    """
    path = Path(source).expanduser()
    for found in (path, path / "recipe.yaml"):
        if found.is_file():
            return found
    shipped = list_recipes()
    if str(source) in shipped:
        return shipped[str(source)]
    raise ConfigError(
        f"{source}: must be a file, a run folder or a shipped recipe, got neither. "
        + unknown_name("recipe", str(source), shipped)
    )


def list_recipes() -> dict[str, Path]:
    """Return the shipped recipes, by name; a recipe in a folder is ``folder/name``."""
    top = Path(__file__).parent
    found = sorted(top.rglob("*.yaml"))
    return {path.relative_to(top).with_suffix("").as_posix(): path for path in found}
