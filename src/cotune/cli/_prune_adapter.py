"""``cotune prune-adapter``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._operators import ListOption, OptionOption

if TYPE_CHECKING:
    from .._adapter import Adapter
    from ..operators.prune import PruneResult


def run_prune_adapter(
    adapter: Annotated[
        Path | None,
        typer.Argument(help="Adapter folder, of cotune or PEFT's LoRA, or a run."),
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(help="Folder to write; new or empty.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Prune operator; see --list.")
    ] = None,
    option: OptionOption = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="For by_contribution: the JSON that `cotune analyze contribution` "
            "wrote."
        ),
    ] = None,
    list_: ListOption = False,
) -> None:
    """Write a smaller or sparser adapter. Does not train; needs no model."""
    from ..operators.prune import PRUNE
    from ._operators import show_operators

    if list_:
        show_operators(PRUNE)
        return
    place, target, name = _need(adapter, out, method)
    _prune(place, target, name, option, scores)


def _need(
    adapter: Path | None, out: Path | None, method: str | None
) -> tuple[Path, Path, str]:
    """Return what must be given; it is optional for --list only."""
    from .._errors import ConfigError

    given = {"ADAPTER": adapter, "OUT": out, "--method": method}
    missing = [name for name, value in given.items() if value is None]
    if adapter is None or out is None or method is None:
        raise ConfigError(
            f"prune-adapter: {', '.join(missing)} must be given, got nothing. "
            "Try --list for the methods."
        )
    return adapter, out, method


def _prune(
    place: Path,
    out: Path,
    method: str,
    option: list[str] | None,
    scores: Path | None,
) -> None:
    from .._adapter_file import write_adapter
    from ..operators.merge import read_options
    from ..operators.prune import PRUNE, prune_adapter
    from ._operators import check_out, parse_options, read_adapters, written_whole

    options: dict[str, Any] = parse_options(option)
    if scores is not None:
        options["scores"] = _read_scores(scores)
    options = read_options(method, PRUNE[method], options, reserved=())
    check_out(out)
    (adapter,) = read_adapters([place])
    found = prune_adapter(adapter, method=method, **options)
    with written_whole(out) as folder:
        write_adapter(found.adapter, folder)
    _show(out, adapter, found)


def _read_scores(path: Path) -> dict[str, float]:
    import json

    from .._errors import ConfigError

    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {str(row["player"]): float(row["phi"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--scores: must be the JSON of `cotune analyze contribution`, got {path}: "
            f"{error!r}."
        ) from error


def _show(out: Path, adapter: Adapter, found: PruneResult) -> None:
    from ..analysis._pruning import count_numbers
    from ._show import show

    kept = count_numbers(found.adapter) / max(adapter.parameters(), 1)
    layers, all_layers = len(found.adapter.layers), len(adapter.layers)
    show(
        f"{out}: {layers} of {all_layers} layers, {kept:.1%} of the trained numbers "
        "are left and not zero"
    )
    if found.errors:
        show(f"relative error of the rank: largest {max(found.errors.values()):.2g}")
