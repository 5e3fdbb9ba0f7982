"""Recipes: YAML in, a checked value out, and the run that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._arms import Arm, arm_of_method, list_methods, parse_arm
    from ._calibrate import Calibrated, export_calibrated
    from ._compare import compare
    from ._comparison import Cell, Comparison
    from ._deployed import build_deployed_server, build_node_app
    from ._federate import build_plan, explain_federation, federate
    from ._open import (
        OpenedBase,
        OpenedRun,
        open_base,
        open_run,
        open_trained,
        read_run_recipe,
    )
    from ._override import override
    from ._paired import Difference, paired_difference
    from ._read import check_recipe, list_recipes, read_recipe
    from ._recipe import Recipe
    from ._run import SeparateResult, count_trained, run_recipe, time_training
    from ._shape import build_shape
    from ._submit import submit, write_app
    from ._tasks import list_recipe_tasks, load_recipe_tasks

_PUBLIC = {
    "Arm": "_arms",
    "Calibrated": "_calibrate",
    "Cell": "_comparison",
    "Comparison": "_comparison",
    "Difference": "_paired",
    "OpenedBase": "_open",
    "OpenedRun": "_open",
    "Recipe": "_recipe",
    "SeparateResult": "_run",
    "arm_of_method": "_arms",
    "build_deployed_server": "_deployed",
    "build_node_app": "_deployed",
    "build_plan": "_federate",
    "build_shape": "_shape",
    "check_recipe": "_read",
    "compare": "_compare",
    "count_trained": "_run",
    "explain_federation": "_federate",
    "export_calibrated": "_calibrate",
    "federate": "_federate",
    "list_methods": "_arms",
    "list_recipe_tasks": "_tasks",
    "list_recipes": "_read",
    "load_recipe_tasks": "_tasks",
    "open_base": "_open",
    "open_run": "_open",
    "open_trained": "_open",
    "override": "_override",
    "paired_difference": "_paired",
    "parse_arm": "_arms",
    "read_recipe": "_read",
    "read_run_recipe": "_open",
    "run_recipe": "_run",
    "submit": "_submit",
    "time_training": "_run",
    "write_app": "_submit",
}

__all__ = [
    "Arm",
    "Calibrated",
    "Cell",
    "Comparison",
    "Difference",
    "OpenedBase",
    "OpenedRun",
    "Recipe",
    "SeparateResult",
    "arm_of_method",
    "build_deployed_server",
    "build_node_app",
    "build_plan",
    "build_shape",
    "check_recipe",
    "compare",
    "count_trained",
    "explain_federation",
    "export_calibrated",
    "federate",
    "list_methods",
    "list_recipe_tasks",
    "list_recipes",
    "load_recipe_tasks",
    "open_base",
    "open_run",
    "open_trained",
    "override",
    "paired_difference",
    "parse_arm",
    "read_recipe",
    "read_run_recipe",
    "run_recipe",
    "submit",
    "time_training",
    "write_app",
]


__getattr__, __dir__ = lazy(__name__, _PUBLIC)
