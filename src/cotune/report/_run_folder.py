"""What lies in a run folder, read once, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .._adapter_file import CONFIG
from .._errors import ConfigError

_OBJECTS = ("settings.json", "metrics.json", "schedule.json", "comparison.json")
_LISTS = ("log_history.json", "rounds.json")
RECIPE = "recipe.yaml"
KNOWN = (RECIPE, *_OBJECTS, *_LISTS)


@dataclass(frozen=True)
class RunFolder:
    """The content of a run folder; empty where a file is not there.

    Args:
        name: What the page calls it; different for all runs of a page.
        path: The folder.
        recipe: ``recipe.yaml``.
        settings: ``settings.json``.
        metrics: ``metrics.json``.
        schedule: ``schedule.json``, the record of CoTo.
        history: ``log_history.json``, one mapping per entry.
        comparison: ``comparison.json``, of methods that were tuned alike.
        rounds: ``rounds.json``, one mapping per federated round.
        analyses: The files of ``analysis/``, by name; each names its ``analysis``.
        parts: Its run folders, one per task, if the tasks were trained apart.
    """

    name: str
    path: Path
    recipe: Mapping[str, Any]
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    schedule: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    comparison: Mapping[str, Any]
    rounds: Sequence[Mapping[str, Any]]
    analyses: Mapping[str, Mapping[str, Any]]
    parts: tuple[RunFolder, ...]

    @property
    def adapter(self) -> Path | None:
        """Return the folder of its adapter, if there is one."""
        for folder in (self.path / "adapter", self.path):
            if (folder / CONFIG).is_file():
                return folder
        return None

    @property
    def leaves(self) -> tuple[RunFolder, ...]:
        """Return the folders that were trained: its parts, or itself."""
        return self.parts or (self,)

    @property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the scores of ``metrics.json`` by task."""
        return self.metrics.get("tasks") or {}


def find_analyses(
    runs: Sequence[RunFolder], analysis: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what ``analysis/`` holds of one analysis, each with a name to show.

    Args:
        runs: The runs of the page.
        analysis: Name in the table of analyses.

    Returns:
        Name of the run, with that of the file where a run has several, and content:
        ``analysis``, ``summary`` and ``rows``.
    """
    found: list[tuple[str, Mapping[str, Any]]] = []
    for run in runs:
        files = {
            name: one
            for name, one in run.analyses.items()
            if one.get("analysis") == analysis
        }
        for name, one in files.items():
            found.append((run.name if len(files) == 1 else f"{run.name}/{name}", one))
    return found


def open_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """Read run folders, and give each a name of its own.

    Args:
        paths: The folders; at least one.

    Raises:
        ConfigError: No folder, one that is not of a run, or a broken file.
    """
    if not paths:
        raise ConfigError("report: needs a run folder, got none. Name one or several.")
    whole = [path.resolve() for path in paths]
    again = sorted({str(path) for path in whole if whole.count(path) > 1})
    if again:
        raise ConfigError(f"report: runs must differ, got {again[0]} twice. Leave one.")
    return [
        open_run_folder(path, name)
        for path, name in zip(paths, _name_apart(whole), strict=True)
    ]


def open_run_folder(path: Path, name: str) -> RunFolder:
    """Read what a run folder holds; tensors are left on the disk.

    Args:
        path: The folder.
        name: What to call it.

    Raises:
        ConfigError: It holds nothing that a run writes, or a broken file.
    """
    if not path.is_dir() or not _holds_a_run(path):
        raise ConfigError(
            f"{path}: must be a run folder, got "
            f"{'none of its files' if path.is_dir() else 'no such folder'} "
            f"({', '.join(KNOWN)}). Pass the output_dir of a run."
        )
    objects = {file: _read_json(path / file, dict) for file in _OBJECTS}
    lists = {file: _read_json(path / file, list) for file in _LISTS}
    recipe = _read_recipe(path / RECIPE)
    return RunFolder(
        name=name,
        path=path,
        recipe=recipe,
        settings=objects["settings.json"],
        metrics=objects["metrics.json"],
        schedule=objects["schedule.json"],
        history=lists["log_history.json"],
        comparison=objects["comparison.json"],
        rounds=lists["rounds.json"],
        analyses={
            file.stem: _read_json(file, dict)
            for file in sorted((path / "analysis").glob("*.json"))
        },
        parts=_read_parts(path) if recipe.get("separate") else (),
    )


def _holds_a_run(path: Path) -> bool:
    if any((path / file).is_file() for file in (*KNOWN, CONFIG)):
        return True
    return any((path / "analysis").glob("*.json"))


def _read_parts(path: Path) -> tuple[RunFolder, ...]:
    folders = sorted(file.parent for file in path.glob("*/settings.json"))
    return tuple(open_run_folder(folder, folder.name) for folder in folders)


def _read_json(path: Path, kind: type) -> Any:
    if not path.is_file():
        return kind()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: must be valid JSON, got: {error}.") from error
    if not isinstance(found, kind):
        wanted = "an object" if kind is dict else "a list"
        raise ConfigError(f"{path}: must hold {wanted}, got {found!r:.60}.")
    return found


def _read_recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: must be valid YAML, got: {error}.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: must hold keys, got {found!r:.60}.")
    return found


def _name_apart(paths: Sequence[Path]) -> list[str]:
    """Name folders by their last part, or by as many parts as tell them apart."""
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("different folders have different paths")
