"""``cotune merge-adapters``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._operators import ListOption, OptionOption

if TYPE_CHECKING:
    from .._adapter import Adapter
    from ..operators.merge import MergeSpec


def run_merge_adapters(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE | ADAPTER...",
            help="A YAML recipe; or adapter folders of cotune or PEFT's LoRA; or runs.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder to write; new or empty.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Merge operator; see --list.")
    ] = None,
    option: OptionOption = None,
    weight: Annotated[
        list[float] | None,
        typer.Option(help="One per adapter, in order; else one over their number."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="One per adapter, in order; '' is the default task."),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Rank of the result; else the largest given.")
    ] = None,
    max_error: Annotated[
        float | None,
        typer.Option(help="Smallest rank with at most this relative error."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="same, or union: a missing layer counts as a zero update."),
    ] = None,
    any_base: Annotated[
        bool, typer.Option("--any-base", help="Take adapters of different bases.")
    ] = False,
    svd_iterations: Annotated[
        int | None, typer.Option(help="Of the SVD of dense results; else exact.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of operators that draw; 0.")
    ] = None,
    into_model: Annotated[
        bool,
        typer.Option(
            "--into-model", help="Write a full model instead; nothing is recompressed."
        ),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(help="With --into-model: the base model, if not the runs' own."),
    ] = None,
    list_: ListOption = False,
) -> None:
    """Merge several adapters into one plain LoRA folder, or into a full model.

    With a recipe, options given here replace its own.
    """
    if list_:
        from ..operators.merge import MERGE
        from ..operators.merge._options import HANDED_ON
        from ._operators import show_operators

        show_operators(MERGE, HANDED_ON)
        return
    given = {
        "out": out,
        "rank": rank,
        "max_error": max_error,
        "layers": layers,
        "any_base": any_base or None,
        "svd_iterations": svd_iterations,
        "seed": seed,
        "into_model": into_model or None,
        "base": base,
    }
    values = _read_recipe(what or [])
    values |= {name: value for name, value in given.items() if value is not None}
    _put_operator(values, method, option)
    _put_per_adapter(values, weight, task)
    _merge(_check(values))


def _read_recipe(what: list[str]) -> dict[str, Any]:
    """Return the content of a recipe, or the adapters as one."""
    from .._errors import ConfigError
    from ..recipes._yaml import read_yaml

    if not what:
        raise ConfigError(
            "merge-adapters: a recipe or adapter folders must be given, got nothing. "
            "Try --help."
        )
    if len(what) > 1 or Path(what[0]).suffix not in (".yaml", ".yml"):
        return {"adapters": list(what)}
    path = Path(what[0])
    if not path.is_file():
        raise ConfigError(f"{path}: must be a YAML recipe, got no such file.")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold keys and values, got {values!r:.60}.")
    return values


def _put_operator(
    values: dict[str, Any], method: str | None, option: list[str] | None
) -> None:
    from ._operators import parse_options

    options = parse_options(option)
    before = values.get("merge")
    if isinstance(before, str):
        before = {"name": before}
    if method is not None:
        # Options of one operator mean nothing to another.
        values["merge"] = {"name": method, **options}
    elif options:
        values["merge"] = {**before, **options} if isinstance(before, dict) else options


def _put_per_adapter(
    values: dict[str, Any], weight: list[float] | None, task: list[str] | None
) -> None:
    from .._errors import ConfigError

    for name, given in (("weight", weight), ("task", task)):
        if not given:
            continue
        entries = values.get("adapters")
        if not isinstance(entries, list) or len(entries) != len(given):
            count = len(entries) if isinstance(entries, list) else 0
            raise ConfigError(
                f"--{name}: must be given once per adapter, got {len(given)} for "
                f"{count} adapters."
            )
        whole = [{"path": e} if isinstance(e, str) else dict(e) for e in entries]
        values["adapters"] = [
            {**entry, name: value if value != "" else None}
            for entry, value in zip(whole, given, strict=True)
        ]


def _check(values: dict[str, Any]) -> MergeSpec:
    from pydantic import ValidationError

    from .._errors import ConfigError
    from ..operators.merge import MergeSpec
    from ..recipes._faults import describe_faults

    try:
        return MergeSpec.model_validate(values)
    except ValidationError as error:
        lines = list(describe_faults(error, MergeSpec))
        count = f"{len(lines)} faults" if len(lines) > 1 else "a fault"
        shown = "\n".join(f"  - {line}" for line in lines)
        raise ConfigError(f"merge-adapters: {count}:\n{shown}") from None


def _merge(spec: MergeSpec) -> None:
    from ._operators import check_out, read_adapters

    check_out(Path(spec.out))
    paths = [Path(entry.path).expanduser() for entry in spec.adapters]
    adapters = read_adapters(paths)
    if spec.into_model:
        from ._merge_into_model import merge_into_model

        merge_into_model(spec, adapters, paths)
    else:
        _merge_into_adapter(spec, adapters)


def _merge_into_adapter(spec: MergeSpec, adapters: list[Adapter]) -> None:
    import torch

    from .._adapter_file import write_adapter
    from ..operators.merge import merge_adapters
    from ._operators import written_whole
    from ._show import show
    from .analyze._session import show_progress

    with show_progress("layers") as progress:
        found = merge_adapters(
            adapters,
            method=spec.method,
            weights=spec.weights,
            rank=spec.rank,
            max_error=spec.max_error,
            tasks=[entry.task for entry in spec.adapters],
            layers=spec.layers,
            any_base=spec.any_base,
            svd_iterations=spec.svd_iterations,
            generator=torch.Generator().manual_seed(spec.seed),
            progress=progress,
            **spec.options,
        )
    out = Path(spec.out)
    with written_whole(out) as folder:
        write_adapter(found.adapter, folder)
    worst = max(found.errors, key=lambda name: found.errors[name])
    ranks = {factors.rank for factors in found.adapter.layers.values()}
    rank = f"{min(ranks)}" if len(ranks) == 1 else f"{min(ranks)} to {max(ranks)}"
    mean = sum(found.errors.values()) / len(found.errors)
    show(
        f"{out}: {len(adapters)} adapters merged by {spec.method}, "
        f"{len(found.errors)} layers, rank {rank}",
        f"relative error of the rank: mean {mean:.2g}, largest {found.worst:.2g} "
        f"({worst})",
    )
