"""What the commands on trained adapters share: operators, their options, faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .._adapter import Adapter

OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=VALUE",
        help="Option of the operator, e.g. density=0.2; repeatable. See --list.",
    ),
]
ListOption = Annotated[
    bool,
    typer.Option("--list", help="Show the operators with their options, and stop."),
]


def parse_options(words: Sequence[str] | None) -> dict[str, Any]:
    """Read options of an operator from the command line.

    Args:
        words: ``name=value``, the value in YAML.

    Raises:
        ConfigError: No ``=``, no valid YAML, or an option that comes twice.
    """
    from .._errors import ConfigError
    from ..recipes._yaml import parse_yaml

    found: dict[str, Any] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name or name in found:
            raise ConfigError(
                f"--option: must be name=value, each name once, got {word!r}. Write it "
                "like density=0.2."
            )
        found[name] = parse_yaml(value, f"--option {word}")
    return found


def show_operators(table: Mapping[str, Callable[..., Any]], reserved: Any = ()) -> None:
    """Print a table of operators: name, options with defaults, what they do.

    Args:
        table: Name -> operator.
        reserved: Names of arguments that are not the user's to set.
    """
    import inspect

    from rich.table import Table

    from ..operators.merge import options_of
    from ._show import show

    shown = Table(title=f"{len(table)} operators")
    for column in ("name", "options", "what it does"):
        shown.add_column(column)
    for name, operator in table.items():
        options = [
            f"{key}={parameter.default!r}"
            if parameter.default is not parameter.empty
            else f"{key} (needed)"
            for key, parameter in options_of(operator, reserved=reserved).items()
        ]
        first = (inspect.getdoc(operator) or "").partition("\n")[0]
        shown.add_row(name, "\n".join(options), first)
    show(shown)


def read_adapters(paths: Sequence[Path]) -> list[Adapter]:
    """Read adapter folders; all that cannot be read in one message.

    Args:
        paths: Adapter folders, or runs.

    Raises:
        ConfigError: Some cannot be read: a line each.
    """
    from .._adapter_file import read_adapter
    from .._errors import ConfigError
    from ._options import adapter_folder

    found: list[Adapter] = []
    faults: list[str] = []
    for path in paths:
        try:
            found.append(read_adapter(adapter_folder(path)))
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return found


def check_out(out: Path) -> None:
    """Refuse a folder in use.

    Args:
        out: Where a command will write.

    Raises:
        ConfigError: It is a file, or holds something.
    """
    from .._errors import ConfigError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            f"out: must be new or empty, got {out}, which is in use. Choose another."
        )


@contextmanager
def written_whole(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes ``out`` when all went well.

    Args:
        out: New or empty.

    Yields:
        The folder to write into.
    """
    import os
    import tempfile

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=out.parent) as draft:
        target = Path(draft) / "whole"
        target.mkdir()
        yield target
        if out.is_dir():
            out.rmdir()
        os.replace(target, out)
