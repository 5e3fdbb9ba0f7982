"""Recipes: YAML in, a checked value out, and the run that it describes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._arms import Arm, arm_of_method, list_methods, parse_arm
    from ._calibrate import Calibrated, export_calibrated
    from ._compare import compare
    from ._comparison import Cell, Comparison
    from ._open import OpenedBase, OpenedRun, open_base, open_run, read_run_recipe
    from ._override import override
    from ._read import check_recipe, list_recipes, read_recipe
    from ._recipe import Recipe
    from ._run import SeparateResult, run_recipe
    from ._shape import build_shape
    from ._tasks import list_recipe_tasks, load_recipe_tasks

_PUBLIC = {
    "Arm": "_arms",
    "Calibrated": "_calibrate",
    "Cell": "_comparison",
    "Comparison": "_comparison",
    "OpenedBase": "_open",
    "OpenedRun": "_open",
    "Recipe": "_recipe",
    "SeparateResult": "_run",
    "arm_of_method": "_arms",
    "build_shape": "_shape",
    "check_recipe": "_read",
    "compare": "_compare",
    "export_calibrated": "_calibrate",
    "list_methods": "_arms",
    "list_recipe_tasks": "_tasks",
    "list_recipes": "_read",
    "load_recipe_tasks": "_tasks",
    "open_base": "_open",
    "open_run": "_open",
    "override": "_override",
    "parse_arm": "_arms",
    "read_recipe": "_read",
    "read_run_recipe": "_open",
    "run_recipe": "_run",
}

__all__ = [
    "Arm",
    "Calibrated",
    "Cell",
    "Comparison",
    "OpenedBase",
    "OpenedRun",
    "Recipe",
    "SeparateResult",
    "arm_of_method",
    "build_shape",
    "check_recipe",
    "compare",
    "export_calibrated",
    "list_methods",
    "list_recipe_tasks",
    "list_recipes",
    "load_recipe_tasks",
    "open_base",
    "open_run",
    "override",
    "parse_arm",
    "read_recipe",
    "read_run_recipe",
    "run_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
