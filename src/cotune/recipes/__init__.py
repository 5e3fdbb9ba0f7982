"""Recipes: YAML in, a checked value out, and the run that it describes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._calibrate import Calibrated, export_calibrated
    from ._compare import Arm, Comparison, compare
    from ._open import OpenedRun, open_run
    from ._read import check_recipe, list_recipes, override, read_recipe
    from ._recipe import Recipe
    from ._run import SeparateResult, run_recipe

_PUBLIC = {
    "Arm": "_compare",
    "Calibrated": "_calibrate",
    "Comparison": "_compare",
    "OpenedRun": "_open",
    "Recipe": "_recipe",
    "SeparateResult": "_run",
    "check_recipe": "_read",
    "compare": "_compare",
    "export_calibrated": "_calibrate",
    "list_recipes": "_read",
    "open_run": "_open",
    "override": "_read",
    "read_recipe": "_read",
    "run_recipe": "_run",
}

__all__ = [
    "Arm",
    "Calibrated",
    "Comparison",
    "OpenedRun",
    "Recipe",
    "SeparateResult",
    "check_recipe",
    "compare",
    "export_calibrated",
    "list_recipes",
    "open_run",
    "override",
    "read_recipe",
    "run_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
