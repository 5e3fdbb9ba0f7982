"""What all commands have in common: how mistakes of the caller are told."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperArgument, TyperGroup
from typer.models import ArgumentInfo

from ._disk import describe_disk_fault


class Group(TyperGroup):
    """Turns a mistake of the caller into one red message and exit code 2.

    That is a ``ConfigError`` of any command, or a path or disk that cannot be used.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command by its name, with the help of its arguments in place.

        Args:
            ctx: The context of the call.
            cmd_name: As the caller wrote it.

        Returns:
            The command; None if there is none of that name.
        """
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.callback is not None:
            _restore_help(command.params, command.callback)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Args:
            ctx: The context of the call.

        Raises:
            typer.Exit: With code 2, after a mistake of the caller.
        """
        from safetensors import SafetensorError

        from .._errors import ConfigError

        # PEFT asks for it by a name that transformers has changed.
        warnings.filterwarnings("ignore", "`is_gradient_check", FutureWarning)
        try:
            return super().invoke(ctx)
        except (ConfigError, OSError, RuntimeError, SafetensorError) as error:
            known = isinstance(error, ConfigError)
            told = error if known else describe_disk_fault(error)
            if told is None:
                raise
            # Processes of one machine would all say the same.
            if int(os.environ.get("LOCAL_RANK", "0")) == 0:
                typer.secho(f"cotune: {told}", fg="red", err=True)
            raise typer.Exit(2) from None


def _restore_help(parameters: list[Any], callback: Callable[..., Any]) -> None:
    """Give arguments the help that their annotations have.

    Click 8.5 has a help of its own for arguments, and so wipes out that of typer before
    0.21, which Flower asks for.
    """
    hints = get_type_hints(callback, include_extras=True)
    for parameter in parameters:
        if not isinstance(parameter, TyperArgument) or parameter.help:
            continue
        hint = hints.get(parameter.name or "")
        for note in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(note, ArgumentInfo):
                parameter.help = note.help
