"""The arms of a comparison: what differs between them, and how a user writes it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import ConfigError, unknown_name
from ..adapters import METHODS, find_method
from ._override import override
from ._read import check_recipe
from ._recipe import Recipe

SEPARATE = "separate"
"""Stands for a LoRA per task, each trained alone, where a method is asked for."""

_FROM_TABLE = ("num_A", "num_B", "coupling", "core", "start")


@dataclass(frozen=True)
class Arm:
    """One method of a comparison.

    Args:
        name: Shown in tables.
        overrides: Changes to the recipe, ``section.key=value``.
    """

    name: str
    overrides: tuple[str, ...] = ()


def arm_of_method(method: str, recipe: Recipe) -> Arm:
    """Make the arm of a method as the table has it, with the recipe's r and targets.

    Args:
        method: Name in the method table, or ``separate`` for a LoRA per task.
        recipe: What the arms have in common. Its own method keeps the recipe's fields.

    Returns:
        The arm, named after the method.

    Raises:
        ConfigError: Unknown method; shows the nearest.
    """
    apart = (f"separate={'true' if method == SEPARATE else 'false'}",)
    if method not in list_methods():
        raise ConfigError(unknown_name("method", method, list_methods()))
    name = "lora" if method == SEPARATE else method
    title = find_method(name).title
    title = f"separate {title}s" if method == SEPARATE else title
    if name == recipe.need_adapter().method:
        return Arm(title, apart)
    fields = [f"adapter.{field}=null" for field in _FROM_TABLE]
    return Arm(title, (*apart, f"adapter.method={name}", *fields))


def parse_arm(text: str) -> Arm:
    """Read an arm as a user writes it.

    Args:
        text: ``name: key=value key=value``; quotes keep blanks together.

    Returns:
        The arm.

    Raises:
        ConfigError: No name, or quotes that do not close.

    Example:
        >>> parse_arm("CoLA 4x4: adapter.method=cola adapter.num_A=4")
        Arm(name='CoLA 4x4', overrides=('adapter.method=cola', 'adapter.num_A=4'))
    """
    name, colon, rest = text.partition(":")
    try:
        changes = shlex.split(rest)
    except ValueError as error:
        raise ConfigError(
            f"--arm {text}: every quote must close, got: {error}. Add the other one."
        ) from error
    if not colon or not name.strip():
        raise ConfigError(
            f"--arm: must be 'name: key=value key=value', got {text!r}. Write it like "
            "'CoLA 4x4: adapter.method=cola adapter.num_A=4'."
        )
    return Arm(name.strip(), tuple(changes))


def list_methods() -> list[str]:
    """Return what :func:`arm_of_method` knows: all methods, then ``separate``."""
    return [*METHODS, SEPARATE]


def arm_recipe(
    recipe: Recipe, arm: Arm, *, learning_rate: float, seed: int, folder: Path
) -> Recipe:
    """Return the recipe of one run of a comparison.

    Args:
        recipe: What the arms have in common. Not changed.
        arm: What is changed.
        learning_rate: Of the run.
        seed: Of the run.
        folder: Of the run.

    Returns:
        A checked recipe.

    Raises:
        ConfigError: The arm does not fit the recipe; all faults in one message.
    """
    changed = override(recipe.model_dump(mode="json"), arm.overrides)
    changed["training"] = {
        **changed["training"],
        "learning_rate": learning_rate,
        "seed": seed,
        "disable_tqdm": True,
    }
    changed |= {"output_dir": str(folder), "description": "", "versions": {}}
    return check_recipe(changed, f"arm '{arm.name}'")


def check_arms(arms: Sequence[Arm]) -> None:
    """Refuse no arms at all, and arms that would share a name or a folder.

    Args:
        arms: The arms.

    Raises:
        ConfigError: None, or names that do not differ in letters or digits.
    """
    names = [arm.name for arm in arms]
    if not names or len({slug(name) for name in names}) < len(names):
        raise ConfigError(
            "arms: must be at least one, with names that differ in letters or digits, "
            f"got {', '.join(names) or 'none'}. Pass --method or --arm."
        )


def slug(name: str) -> str:
    """Turn a name into one that a folder can have.

    Args:
        name: Any text.

    Returns:
        Small letters, digits and ``-``.

    Example:
        >>> slug("CoLA 4x4")
        'cola-4x4'
    """
    return "".join(c if c.isalnum() else "-" for c in name.lower())
