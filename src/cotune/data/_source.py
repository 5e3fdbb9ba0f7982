"""Where the rows of a task lie: a folder, files, or a data set of the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from .._errors import ConfigError
from .._spec import Spec
from ._readers import READERS, RawRow, RawRows, get_extension, read_file
from ._table import each_row
from ._values import say_unknown

if TYPE_CHECKING:
    from datasets import Dataset

PartName = Literal["train", "validation", "test"]
PARTS: tuple[PartName, ...] = ("train", "validation", "test")


class SourceSpec(Spec):
    """Where the rows of a task lie. A plain text in its place means ``path``."""

    path: str | None = Field(
        default=None,
        description="Folder that holds train.* and, if there are any, test.* and "
        "validation.* (.jsonl, .jsonl.gz, .csv or .parquet); or one file of training "
        "rows. Relative paths start at `data.root`.",
    )
    hub: str | None = Field(
        default=None,
        description="Data set of the Hugging Face hub, e.g. nyu-mll/glue, or a local "
        "folder that datasets.load_dataset can read.",
    )
    subset: str | None = Field(
        default=None, description="Configuration of the hub data set, e.g. sst2."
    )
    revision: str | None = Field(
        default=None, description="Commit, branch or tag of the hub data set."
    )
    train: str | None = Field(
        default=None,
        description="Training rows: a file (in the folder `path`, if there is one), "
        "or with `hub` a split, which may be a slice such as train[:1000]. "
        "Default: train.* of the folder, or the split train.",
    )
    validation: str | None = Field(
        default=None,
        description="Validation rows, named as in `train`. Default: validation.* of "
        "the folder if there is one; with `hub`: none.",
    )
    test: str | None = Field(
        default=None,
        description="Test rows, named as in `train`. Default: test.* of the folder if "
        "there is one, or the split test of a hub data set.",
    )
    without: tuple[Literal["validation", "test"], ...] = Field(
        default=(), description="Parts that are not used, although they may be there."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> SourceSpec:
        if self.hub is not None and self.path is not None:
            raise ValueError("give either path or hub, got both.")
        both = [name for name in self.without if getattr(self, name) is not None]
        if both:
            raise ValueError(f"{both[0]} is given, and also listed in without.")
        if self.hub is None and (self.subset or self.revision):
            raise ValueError("subset and revision need hub, got none.")
        if self.hub is None and self.path is None and self.train is None:
            raise ValueError(
                "a source must say where the rows lie, got nothing. "
                "Give path (a folder), train (a file) or hub (a data set)."
            )
        return self


@dataclass(frozen=True)
class Part:
    """The rows of one part of a task, not yet read.

    Args:
        where: File, or data set and split, for messages.
        rows: Function that starts reading, from the first row.
        labels: Field -> label names, for the fields that the data set itself names.
    """

    where: str
    rows: Callable[[], RawRows] = field(repr=False)
    labels: Mapping[str, list[str]] = field(default_factory=dict)


def open_source(source: SourceSpec, root: Path | None = None) -> dict[PartName, Part]:
    """Find the parts of a source. Files are looked for, but not read.

    Args:
        source: What the recipe says.
        root: Folder that relative paths start at; None: the current folder. Hub names
            do not change.

    Returns:
        ``train`` and, where there are any, ``validation`` and ``test``. Hub data sets
        are loaded here (downloaded on first use), by ``datasets.load_dataset``.

    Raises:
        ConfigError: Something is missing, ambiguous, or has an unknown extension.
    """
    if source.hub is not None:
        return _open_hub(source, source.hub)
    return {
        name: Part(str(path), partial(read_file, path))
        for name, path in _find_files(source, root or Path()).items()
    }


def _find_files(source: SourceSpec, root: Path) -> dict[PartName, Path]:
    folder, files = root, {}
    if source.path is not None:
        base = _existing(root / Path(source.path).expanduser(), "path")
        if base.is_dir():
            folder, files = base, _find_in_folder(base, source)
        elif source.train is None:
            files["train"] = base
        else:
            raise ConfigError(
                f"source: path must be a folder where train is given, got the file "
                f"{base}. Leave out path or train."
            )
    for name in PARTS:
        chosen = getattr(source, name)
        if chosen is not None:
            files[name] = _existing(folder / Path(chosen).expanduser(), name)
    if "train" not in files:
        raise ConfigError(
            f"source: the folder {folder} must hold a file train.*, "
            f"got {_list_names(folder)}. Known extensions: {', '.join(READERS)}."
        )
    for path in files.values():
        get_extension(path)
    return files


def _find_in_folder(folder: Path, source: SourceSpec) -> dict[PartName, Path]:
    """Find the parts that the recipe neither names nor leaves out."""
    files: dict[PartName, Path] = {}
    for name in PARTS:
        if getattr(source, name) is not None or name in source.without:
            continue
        # Not only known extensions: test.tsv must be an error, not "no test rows".
        found = sorted(path for path in folder.glob(f"{name}.*") if path.is_file())
        if len(found) > 1:
            raise ConfigError(
                f"source: the folder {folder} must hold one file {name}.*, got "
                f"{' and '.join(path.name for path in found)}. "
                f"Set source.{name} to one of them."
            )
        if found:
            files[name] = found[0]
    return files


def _existing(path: Path, key: str) -> Path:
    if path.exists():
        return path
    near = sorted(item.name for item in path.parent.glob("*"))
    hint = (
        say_unknown("file or folder", path.name, near)
        if path.parent.is_dir()
        else f"The folder {path.parent} does not exist either. Check data.root."
    )
    raise ConfigError(f"source.{key}: must exist, got {path}. {hint}")


def _list_names(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*"))
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") or "nothing"


def _open_hub(source: SourceSpec, hub: str) -> dict[PartName, Part]:
    splits: dict[PartName, str | None] = {
        "train": source.train or "train",
        "validation": source.validation,
        "test": None if "test" in source.without else source.test or "test",
    }
    return {
        name: _load_split(source, hub, name, split)
        for name, split in splits.items()
        if split is not None
    }


def _load_split(source: SourceSpec, hub: str, name: PartName, split: str) -> Part:
    from datasets import ClassLabel, Dataset, load_dataset
    from datasets.exceptions import DatasetsError

    where = f"{hub}{f'[{source.subset}]' if source.subset else ''}/{split}"
    try:
        rows = load_dataset(hub, source.subset, split=split, revision=source.revision)
    except (DatasetsError, ValueError, OSError) as error:
        raise ConfigError(
            f"source.{name}: datasets.load_dataset must find {where}, got: {error} "
            "Check hub, subset and split (and the network); a part that is not there "
            "goes into source.without."
        ) from error
    assert isinstance(rows, Dataset)
    labels = {
        column: list(feature.names)
        for column, feature in rows.features.items()
        if isinstance(feature, ClassLabel)
    }
    return Part(where, partial(_read_split, where, rows), labels)


def _read_split(where: str, rows: Dataset) -> RawRows:
    for number, values in enumerate(each_row(rows), start=1):
        yield RawRow(f"{where}:{number}", values)
