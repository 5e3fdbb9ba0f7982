"""Printing, by the first process only."""

from __future__ import annotations

import os
from typing import Any


def show(*things: Any) -> None:
    """Print texts and tables, on the first process of a distributed run.

    Texts are printed as they are: brackets in a path are no markup, and long lines are
    left to the terminal.

    Args:
        *things: Anything that Rich can print.
    """
    if int(os.environ.get("RANK", "0")) != 0:
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for thing in things:
        console.print(thing, soft_wrap=isinstance(thing, str))
