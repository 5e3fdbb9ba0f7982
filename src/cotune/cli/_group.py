"""What all commands have in common: how mistakes of the caller are told."""

from __future__ import annotations

import os
import warnings
from typing import Any

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Turns a ``ConfigError`` of any command into one red message and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Args:
            ctx: The context of the call.

        Raises:
            typer.Exit: With code 2, after a mistake of the caller.
        """
        from .._errors import ConfigError

        # PEFT asks for it by a name that transformers has changed.
        warnings.filterwarnings("ignore", "`is_gradient_check", FutureWarning)
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            # Processes of one machine would all say the same.
            if int(os.environ.get("LOCAL_RANK", "0")) == 0:
                typer.secho(f"cotune: {error}", fg="red", err=True)
            raise typer.Exit(2) from None
