"""From pydantic's faults to messages that say where, what must hold, and what came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .._errors import unknown_name
from ..data._values import shorten
from ._recipe import Recipe


def describe_faults(
    error: ValidationError, model: type[BaseModel] = Recipe
) -> Iterator[str]:
    """Describe every fault of a recipe.

    Args:
        error: What pydantic raised for ``model``.
        model: What was read; its sections say which keys there are.

    Yields:
        One line per fault: its place, what must hold, and what came.
    """
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = _known_keys(model, fault["loc"][:-1])
            yield f"{place}: {unknown_name('key', str(fault['loc'][-1]), known)}"
        elif fault["type"] == "missing":
            yield f"{place}: must be given, got nothing."
        elif fault["type"] == "value_error":
            message = fault["msg"].removeprefix("Value error, ")
            for line in message.splitlines():
                yield _locate(line, place, _known_keys(model, fault["loc"]))
        else:
            yield f"{place}: {_rule(fault)}, got {shorten(fault['input'])}."


def _rule(fault: Mapping[str, Any]) -> str:
    kinds = {
        "model_type": "must be a section with keys",
        "tuple_type": "must be a list",
    }
    own = kinds.get(fault["type"])
    # Pydantic says "Input should be", "String should have" and the like.
    return own or re.sub(r"^\w+ should ", "must ", str(fault["msg"]))


def _locate(line: str, place: str, known: Sequence[str]) -> str:
    """Join the place of a section with the key that its own message begins with."""
    line = line.removeprefix(f"{place}: ")
    key = line.partition(":")[0].partition("[")[0].partition(".")[0]
    if key != line and key in known:
        return f"{place}.{line}" if place else line
    return f"{place}: {line}" if place else line


def _known_keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys of the section at a place in the recipe."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _section(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
