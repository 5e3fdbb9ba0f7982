"""The adapter section of a recipe: the fields of ``CoTuneConfig``, read from there."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from pydantic import Field, create_model, model_validator

from ..adapters import CoTuneConfig
from ..adapters._methods import METHODS, find_method
from ..data._spec import Spec

# Set by the run itself, or of no use in a recipe.
_LEFT_OUT = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_type",
    "peft_version",
    "revision",
    "task_type",
}


class _AdapterBase(Spec):
    """Which adapter is trained. Fields left out come from the method's table line."""

    @model_validator(mode="after")
    def _check(self) -> _AdapterBase:
        find_method(self.model_dump()["method"])
        if not self.model_dump()["tasks"]:
            # Names that stand in for the recipe's tasks, to check all the rest now.
            self.build(["task"])
        return self

    def build(self, tasks: list[str]) -> CoTuneConfig:
        """Make the config of the adapter.

        Args:
            tasks: Names of the recipe's tasks, taken where the section names none.

        Raises:
            ConfigError: Fields that do not fit; all faults in one message.
        """
        values = self.model_dump()
        values["tasks"] = list(values["tasks"] or tasks)
        return CoTuneConfig(**values)


def _make_fields() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for item in fields(CoTuneConfig):
        if item.name in _LEFT_OUT or "help" not in item.metadata:
            continue
        default = item.default
        if item.default_factory is not MISSING:
            default = item.default_factory()
        kind = _KINDS.get(item.name, item.type)
        text = item.metadata["help"]
        if item.name == "method":
            text += f" One of {', '.join(METHODS)}."
        made[item.name] = (kind, Field(default=default, description=text))
    return made


# YAML has lists, where PEFT's dataclass also takes sets.
_KINDS: dict[str, Any] = {
    "target_modules": list[str] | str | None,
    "exclude_modules": list[str] | str | None,
}

AdapterSpec = create_model("AdapterSpec", __base__=_AdapterBase, **_make_fields())
