"""Read the options of an operator off its signature, and check what a caller passed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError

from ..._errors import ConfigError, unknown_name

HANDED_ON = ("generator", "rank")
"""What a driver takes itself and hands to the operators that ask for it."""


def options_of(
    operator: Callable[..., Any], *, reserved: tuple[str, ...] = HANDED_ON
) -> dict[str, inspect.Parameter]:
    """Return the keyword-only arguments of an operator: its recipe keys.

    Args:
        operator: A function of the table ``MERGE`` or ``PRUNE``.
        reserved: Names that are not the user's to set.

    Returns:
        Name -> parameter with its annotation and default, in the order of the
        signature. A default of ``inspect.Parameter.empty`` means required.
    """
    return {
        name: parameter
        for name, parameter in inspect.signature(operator).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in reserved
    }


def check_options(
    where: str,
    operator: Callable[..., Any],
    options: Mapping[str, object],
    *,
    reserved: tuple[str, ...] = HANDED_ON,
) -> None:
    """Refuse unknown and missing options before any work is done.

    Args:
        where: Name of the operator, for messages.
        operator: The function that will be called.
        options: What the caller passed.
        reserved: As in :func:`options_of`.

    Raises:
        ConfigError: An option is unknown (the message shows the nearest) or missing.
    """
    known = options_of(operator, reserved=reserved)
    for name in options:
        if name not in known:
            raise ConfigError(unknown_name(f"option of {where}", name, known))
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty and name not in options
    ]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} must be given, got nothing.")


def read_options(
    where: str,
    operator: Callable[..., Any],
    options: Mapping[str, object],
    *,
    reserved: tuple[str, ...] = HANDED_ON,
) -> dict[str, Any]:
    """Check options that a person wrote, also their types; all faults at once.

    Args:
        where: Name of the operator, for messages.
        operator: The function that will be called.
        options: As read from YAML.
        reserved: As in :func:`options_of`.

    Returns:
        The options in the types of the signature.

    Raises:
        ConfigError: Unknown or missing options, or values of another type: one line
            each.
    """
    known = options_of(operator, reserved=reserved)
    hints = get_type_hints(inspect.unwrap(operator))
    faults = [
        unknown_name(f"option of {where}", name, known)
        for name in options
        if name not in known
    ]
    found: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in options:
            if parameter.default is parameter.empty:
                faults.append(f"{where}: {name} must be given, got nothing.")
            continue
        try:
            found[name] = TypeAdapter(hints[name]).validate_python(options[name])
        except ValidationError as error:
            rule = str(error.errors()[0]["msg"]).replace("Input should be", "must be")
            faults.append(f"{where}: {name}: {rule}, got {options[name]!r}.")
    if faults:
        raise ConfigError("\n".join(faults))
    return found


def wants(operator: Callable[..., Any], name: str) -> bool:
    """Say whether an operator has an argument of that name."""
    return name in inspect.signature(operator).parameters


def need_generator(where: str, generator: torch.Generator | None) -> torch.Generator:
    """Return the generator, or say that the operator draws at random.

    Raises:
        ConfigError: ``generator`` is None.
    """
    if generator is None:
        raise ConfigError(
            f"{where}: a generator is needed, because it draws at random, got None. "
            "Pass generator=torch.Generator().manual_seed(0)."
        )
    return generator
