"""Tasks found in a tree of folders that hold train.* and test.* files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from .._errors import ConfigError
from .._spec import Spec
from ._faults import RowFault
from ._load import check_names
from ._readers import RawRow
from ._source import SourceSpec, open_source
from ._task import Kind, TaskSpec
from ._template import TemplateSpec


class FolderSpec(Spec):
    """A tree of folders with tasks. A plain text in its place means ``path``."""

    path: str = Field(
        description="Folder; every folder in it (or itself) that holds train.* is a "
        "task. Relative paths start at `data.root`."
    )
    include: tuple[str, ...] = Field(
        default=("*",), description="Patterns of task names to take, e.g. sentiment*."
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="Patterns of task names to leave out."
    )
    definitions: bool = Field(
        default=False,
        description="Put the task's definition, from index.json in the folder or the "
        "one above, before every prompt.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


def discover(
    folder: str | Path | FolderSpec, root: str | Path | None = None
) -> list[TaskSpec]:
    """Find the tasks in a tree of folders.

    The name of a task is its path below the folder, joined with ``-``
    (``sentiment_analysis-0031``). Its kind is read off the first training row:
    ``messages`` make a chat, a list of ``options`` a choice, anything else text.

    Args:
        folder: Where to look.
        root: Folder that relative paths start at; None: the current folder.

    Returns:
        The tasks in order of name; their source is relative to ``root`` as ``folder``
        is.

    Raises:
        ConfigError: No folder, no task in it (that the patterns let through), a first
            row that cannot be read, or a definition that is missing.

    Example:
        ``discover("flan8", root="data")`` gives eight tasks, ``coreference`` to
        ``word_disambiguation``.
    """
    spec = folder if isinstance(folder, FolderSpec) else FolderSpec(path=str(folder))
    base = Path() if root is None else Path(root).expanduser()
    top = base / Path(spec.path).expanduser()
    if not top.is_dir():
        raise ConfigError(
            f"folder: must be a folder with tasks, got {top}, which is none. "
            "Check the path and data.root."
        )
    found = {_name_task(top, path): path for path in _find_folders(top)}
    chosen = {name: path for name, path in found.items() if _is_chosen(name, spec)}
    if not chosen:
        raise ConfigError(
            f"folder {top}: must hold a task (a folder with train.*) that include and "
            f"exclude let through, got {', '.join(found) or 'no task at all'}."
        )
    check_names([_name_task(top, path) for path in _find_folders(top)])
    return [_make_task(name, path, spec, top) for name, path in chosen.items()]


def _find_folders(top: Path) -> list[Path]:
    """List the folders with train.*, hidden ones left out."""
    folders = {path.parent for path in top.rglob("train.*") if path.is_file()}
    below = ((folder.relative_to(top), folder) for folder in folders)
    return [
        folder
        for name, folder in sorted(below)
        if not any(part.startswith(".") for part in name.parts)
    ]


def _name_task(top: Path, folder: Path) -> str:
    parts: Sequence[str] = folder.relative_to(top).parts or (folder.resolve().name,)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(parts))
    return name if name[0] != "-" else "_" + name


def _is_chosen(name: str, spec: FolderSpec) -> bool:
    def matches(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return matches(spec.include) and not matches(spec.exclude)


def _make_task(name: str, folder: Path, spec: FolderSpec, top: Path) -> TaskSpec:
    source = SourceSpec(path=str(Path(spec.path) / folder.relative_to(top)))
    template = TemplateSpec()
    if spec.definitions:
        definition = _read_definition(folder, top)
        escaped = definition.replace("{", "{{").replace("}", "}}")
        template = TemplateSpec(prompt=escaped + "\n\n{prompt}")
    kind = _guess_kind(folder)
    return TaskSpec(name=name, source=source, kind=kind, template=template)


def _guess_kind(folder: Path) -> Kind:
    train = open_source(SourceSpec(path=str(folder.resolve())))["train"]
    first: RawRow | RowFault | None = next(train.rows(), None)
    if not isinstance(first, RawRow):
        problem = f"{train.where}: no rows" if first is None else str(first)
        raise ConfigError(
            f"folder: the first training row must tell the kind of task, got {problem}"
        )
    if first.values.get("messages"):
        return "chat"
    return "choice" if first.values.get("options") else "text"


def _read_definition(folder: Path, top: Path) -> str:
    for base in (top, top.parent):
        index = base / "index.json"
        if index.is_file():
            break
    else:
        raise ConfigError(
            f"folder {top}: definitions need index.json there or in the folder above, "
            "got none. Set definitions: false."
        )
    key = folder.relative_to(base).as_posix()
    try:
        definition = json.loads(index.read_text(encoding="utf-8"))[key]["definition"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{index}: must hold {{{key!r}: {{'definition': text}}}}, got {error!r}. "
            "Set definitions: false."
        ) from error
    return str(definition)
