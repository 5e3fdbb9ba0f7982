"""A recipe section that picks from a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from .._spec import Spec


class ChoiceSpec(Spec):
    """A section that picks a function of a table by name.

    Fields that are arguments of some functions of the table are their options: None
    unless given, and refused beside the name of a function that does not take them.

    Attributes:
        table: Name -> function.
    """

    table: ClassVar[Mapping[str, Callable[..., Any]]]

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Return the options that are given, by name."""
        return {
            field: value
            for field, value in self
            if value is not None and self._takers(field)
        }

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        cls.table[name]
        return name

    @model_validator(mode="after")
    def _check_options(self) -> ChoiceSpec:
        for option in self.options:
            takers = self._takers(option)
            if self.name not in takers:
                raise ValueError(
                    f"{option} goes with name: {' or '.join(takers)}, got name "
                    f"{self.name}. Leave one out."
                )
        return self

    def _takers(self, option: str) -> list[str]:
        """List the functions of the table that have an argument of that name."""
        return [
            name
            for name, function in self.table.items()
            if option in inspect.signature(function).parameters
        ]
