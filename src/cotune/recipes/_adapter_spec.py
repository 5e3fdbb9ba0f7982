"""The adapter section of a recipe: the fields of ``CoTuneConfig``, read from there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, model_validator

from .._errors import ConfigError
from .._spec import Spec
from ..adapters import CoTuneConfig
from ..adapters._methods import METHODS

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

# YAML has lists, where PEFT's dataclass also takes sets.
_KINDS: dict[str, Any] = {
    "target_modules": list[str] | str | None,
    "exclude_modules": list[str] | str | None,
}


class AdapterBase(Spec):
    """Which adapter is trained. Fields left out come from the method's table line.

    The fields that the code reads by name are declared here, for type checkers; all
    the others, and every description, are taken over from ``CoTuneConfig``.
    """

    method: str = "lora"
    target_modules: list[str] | str | None = None
    tasks: list[str] | None = None
    default_task: str | None = None

    @model_validator(mode="after")
    def _check(self) -> AdapterBase:
        faults = list(_pattern_faults(self))
        if faults:
            raise ValueError("\n".join(faults))
        # Names that stand in for the recipe's tasks, to check all the rest now.
        stand_in = [] if self.tasks else [self.default_task or "task"]
        try:
            self.build(stand_in)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("CoTuneConfig: ")) from error
        return self

    def build(self, tasks: Sequence[str]) -> CoTuneConfig:
        """Make the config of the adapter.

        Args:
            tasks: Names of the recipe's tasks, taken where the section names none.

        Returns:
            A new config.

        Raises:
            ConfigError: Fields that do not fit; all faults in one message.
        """
        return CoTuneConfig(**{**self.model_dump(), "tasks": list(self.tasks or tasks)})

    def resolve(self, tasks: Sequence[str]) -> AdapterBase:
        """Return the section with every field that the method's table line fills.

        Args:
            tasks: Names of the recipe's tasks.

        Returns:
            A new section that builds the same config, whatever the table says.

        Raises:
            ConfigError: As :meth:`build`.
        """
        config = self.build(tasks)
        values = {name: getattr(config, name) for name in type(self).model_fields}
        plain = {k: sorted(v) if isinstance(v, set) else v for k, v in values.items()}
        return type(self).model_validate(plain)


def _pattern_faults(spec: AdapterBase) -> Iterator[str]:
    """Find patterns that are no regular expressions: PEFT would fail on them."""
    values = spec.model_dump()
    found = [
        (name, values[name]) for name in _KINDS if isinstance(values.get(name), str)
    ]
    for name in ("rank_pattern", "alpha_pattern"):
        found += [(f"{name}[{key!r}]", key) for key in values.get(name) or ()]
    for name, pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            yield (
                f"{name}: must be a regular expression, got {pattern!r}: {error}. "
                "List the names of the layers, or mend it."
            )


def _make_fields() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for item in fields(CoTuneConfig):
        if item.name in _LEFT_OUT or "help" not in item.metadata:
            continue
        default = item.default
        if item.default_factory is not MISSING:
            default = item.default_factory()
        text = item.metadata["help"]
        if item.name == "method":
            text += f" One of {', '.join(METHODS)}."
        kind = _KINDS.get(item.name, item.type)
        made[item.name] = (kind, Field(default=default, description=text))
    return made


if TYPE_CHECKING:
    AdapterSpec = AdapterBase
else:
    AdapterSpec = create_model(
        "AdapterSpec",
        __base__=AdapterBase,
        __doc__=AdapterBase.__doc__,
        **_make_fields(),
    )
