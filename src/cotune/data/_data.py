"""The data section of a recipe, and the tasks that it describes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .._spec import Spec
from ._discover import FolderSpec, discover
from ._load import Task, check_names, load_tasks
from ._mixture import MixtureSpec
from ._noise import check_noise
from ._split import LimitSpec
from ._task import OnBadRow, TaskSpec
from .encode import EncodeSpec


class DataSpec(Spec):
    """Tasks, how they are mixed, and how they become tokens."""

    root: str | None = Field(
        default=None,
        description="Folder that relative paths start at. None: the current folder.",
    )
    folders: tuple[FolderSpec, ...] = Field(
        default=(),
        description="Folders in which tasks are found; a text is a path.",
    )
    tasks: tuple[TaskSpec, ...] = Field(default=(), description="Tasks, one by one.")
    limits: LimitSpec = Field(
        default=LimitSpec(),
        description="Limits of the tasks that set none of their own.",
    )
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Part of the training rows cut off for validation, in [0, 1), for "
        "tasks that set none of their own and have no validation file.",
    )
    label_noise: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Part of the training rows that get another of their options as "
        "answer, in [0, 1), for tasks that set none of their own. Drawn with the seed, "
        "after the validation part is cut; the wrong rows of a smaller part are among "
        "those of a larger one. Tasks without options are refused.",
    )
    on_bad_row: OnBadRow = Field(
        default="error",
        description="error: a bad row stops the run, and all are listed. skip: bad "
        "rows are left out and logged. For tasks that do not say.",
    )
    mixture: MixtureSpec = Field(
        default=MixtureSpec(),
        description="How the training rows of tasks are mixed.",
    )
    encode: EncodeSpec = Field(
        default=EncodeSpec(), description="How rows become tokens."
    )

    @model_validator(mode="after")
    def _check(self) -> DataSpec:
        if not self.folders:
            check_names([task.name for task in self.tasks])
        return self


def list_tasks(data: DataSpec) -> list[TaskSpec]:
    """List all tasks of a recipe: those found in folders, then those spelled out.

    Args:
        data: The data section.

    Returns:
        The tasks, with the limits, ``label_noise`` and ``on_bad_row`` of the section
        where they set none. (``validation_share`` waits for :func:`load_data`: it does
        not apply to tasks that have a validation file.)

    Raises:
        ConfigError: No task, names that repeat, a folder that cannot be used, or label
            noise for tasks without options.
    """
    found = [task for folder in data.folders for task in discover(folder, data.root)]
    tasks = [*found, *data.tasks]
    check_names([task.name for task in tasks])
    filled = [_fill_in(task, data) for task in tasks]
    check_noise(filled)
    return filled


def load_data(data: DataSpec, *, seed: int = 0) -> list[Task]:
    """Read and check the rows of all tasks of a recipe.

    Args:
        data: The data section.
        seed: As in :func:`load_tasks`.

    Returns:
        The tasks: those found in folders, then those spelled out.

    Raises:
        ConfigError: As :func:`list_tasks` and :func:`load_tasks`.
    """
    share = data.validation_share
    return load_tasks(list_tasks(data), data.root, seed=seed, validation_share=share)


def _fill_in(task: TaskSpec, data: DataSpec) -> TaskSpec:
    limits = {
        name: limit if own is None else own
        for (name, own), (_, limit) in zip(task.limits, data.limits, strict=True)
    }
    filled: dict[str, Any] = {"limits": LimitSpec(**limits)}
    if task.label_noise is None and data.label_noise:
        filled["label_noise"] = data.label_noise
    if task.on_bad_row is None:
        filled["on_bad_row"] = data.on_bad_row
    return task.model_copy(update=filled)
