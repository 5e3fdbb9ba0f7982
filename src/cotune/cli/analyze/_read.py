"""What the commands read: adapters, runs, data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._options import adapter_folder

if TYPE_CHECKING:
    from ..._adapter import Adapter
    from ._scorer import Scorer


def open_scorer(
    run: Path,
    rows: int | None,
    tasks: list[str] | None,
    data: Path | None,
    set_: list[str] | None,
) -> Scorer:
    """Load a run, ready to be scored.

    Args:
        run: The run.
        rows: Most rows per task; None takes all.
        tasks: Which tasks; None takes all.
        data: Folder of the data, in place of the run's.
        set_: Changes to its recipe.
    """
    from ...recipes import open_run
    from ._scorer import Scorer

    return Scorer(open_run(run, join_overrides(data, set_)), rows=rows, tasks=tasks)


def build_game(
    scorer: Scorer, by: str, metric: str
) -> tuple[Callable[[frozenset[str]], float], list[str]]:
    """Return the value of a set of groups, and the names of the groups."""
    groups = scorer.groups(by)

    def value(on: frozenset[str]) -> float:
        off = [name for group in groups if group not in on for name in groups[group]]
        return scorer.value(off, metric)

    return value, list(groups)


def join_overrides(data: Path | None, set_: list[str] | None) -> tuple[str, ...]:
    """Return the changes to a recipe that two options ask for."""
    root = () if data is None else (f"data.root={data}",)
    return (*root, *(set_ or ()))


def expand(paths: Sequence[Path]) -> list[Path]:
    """Replace a run that trained every task apart by the runs of its tasks."""
    found: list[Path] = []
    for path in paths:
        apart = sorted(folder.parent for folder in path.glob("*/adapter"))
        whole = (path / "adapter").is_dir() or (path / "adapter_config.json").is_file()
        found += [path] if whole or not apart else apart
    return found


def read_all(paths: Sequence[Path]) -> dict[str, Adapter]:
    """Read adapters, named after their runs.

    Args:
        paths: Adapter folders or runs.

    Raises:
        ConfigError: One cannot be read, or comes twice.
    """
    from ..._adapter_file import read_adapter
    from ..._errors import ConfigError

    paths = expand(paths)
    short = [
        path.parent.name if path.name == "adapter" else path.name for path in paths
    ]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ConfigError("analyze: every adapter must be named once, got one twice.")
    return {
        name: read_adapter(adapter_folder(path))
        for name, path in zip(names, paths, strict=True)
    }


def adapter_digest(folder: Path) -> str:
    """Return a digest of the numbers of an adapter.

    Args:
        folder: Its folder.
    """
    import hashlib

    from ..._adapter_file import WEIGHTS

    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def place_of(run: Path, name: str) -> Path:
    """Return where the report looks for an analysis of a run."""
    return run / "analysis" / f"{name}.json"
