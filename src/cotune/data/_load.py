"""From what a recipe says about tasks to their checked rows."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from ._faults import RowError, RowFault
from ._metrics import METRICS
from ._noise import add_label_noise
from ._readers import RawRow, RawRows
from ._rows import check_options, check_rows
from ._seed import make_generator
from ._source import Part, PartName, open_source
from ._split import cut_validation, draw_rows, find_leaks
from ._table import build_dataset, each_row

if TYPE_CHECKING:
    from datasets import Dataset, Features

    from ._task import TaskSpec

_LOG = logging.getLogger(__name__)


class LeakageWarning(UserWarning):
    """Test rows whose input is also a training row's."""


@dataclass(frozen=True)
class Task:
    """One task with its rows, read and checked.

    Rows are ``{prompt, options, answer, where}``, or for chats ``{messages, answer,
    where}``; ``options`` is None where there is nothing to choose from, ``where`` is
    ``file:line``.

    Args:
        name: Name of the task.
        spec: What the recipe says.
        train: Training rows; at least one. With label noise, some have a wrong answer.
        validation: Validation rows, or None.
        test: Test rows, or None.
        labels: The answers to choose from, if they are the same in every row; or None.
        skipped: Bad rows that were left out (``on_bad_row: skip``).
    """

    name: str
    spec: TaskSpec
    train: Dataset
    validation: Dataset | None = None
    test: Dataset | None = None
    labels: tuple[str, ...] | None = None
    skipped: tuple[RowFault, ...] = ()


def load_tasks(
    specs: Iterable[TaskSpec],
    root: str | Path | None = None,
    *,
    seed: int = 0,
    validation_share: float = 0.0,
) -> list[Task]:
    """Read and check the rows of tasks.

    Args:
        specs: The tasks, with different names.
        root: Folder that relative paths start at; None: the current folder.
        seed: Decides which rows are cut off for validation, which training rows are
            used where there is a limit, and which of these get a wrong answer where
            there is label noise. Test rows do not depend on it.
        validation_share: Part of the training rows cut off for validation, in [0, 1),
            for tasks that set none of their own and have no validation file.

    Returns:
        The tasks, in the order given.

    Raises:
        ConfigError: Nothing to load, names that repeat, missing or unreadable files,
            parts without rows, a metric whose package is missing. The faults of all
            tasks are reported together.
        RowError: Bad rows in the one task that has a fault.

    Warns:
        LeakageWarning: Test rows whose input is also a training row's.
    """
    specs = list(specs)
    check_names([spec.name for spec in specs])
    base = None if root is None else Path(root).expanduser()
    tasks: list[Task] = []
    errors: list[ConfigError] = []
    for spec in specs:
        try:
            tasks.append(_load_task(spec, base, seed, validation_share))
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigError("\n".join(str(error) for error in errors))
    return tasks


def check_names(names: Sequence[str]) -> None:
    """Refuse an empty list of tasks, and names that repeat.

    Args:
        names: Names of the tasks.

    Raises:
        ConfigError: There are none, or a name comes twice.
    """
    if not names:
        raise ConfigError("data: there must be at least one task, got none.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(
            f"data: every task must have its own name, got {', '.join(twice)} more "
            "than once. Rename them."
        )


def _load_task(
    spec: TaskSpec, root: Path | None, seed: int, default_share: float
) -> Task:
    METRICS[spec.metric_name].check_installed()
    try:
        parts = open_source(spec.source, root)
    except ConfigError as error:
        raise ConfigError(f"task {spec.name!r}: {error}") from error
    if "validation" in parts and spec.validation_share:
        raise ConfigError(
            f"task {spec.name!r}: validation rows must come from a file or from "
            f"validation_share, got {parts['validation'].where} and "
            f"{spec.validation_share}. Set source.without: [validation], or leave out "
            "the share."
        )
    task = _read_parts(spec, parts)
    _warn_of_leaks(task)
    if spec.validation_share is not None:
        return _limit(task, seed, spec.validation_share)
    return _limit(task, seed, 0.0 if "validation" in parts else default_share)


def _read_parts(spec: TaskSpec, parts: dict[PartName, Part]) -> Task:
    labels = _get_labels(spec, parts["train"])
    train, skipped = _read_part(spec, parts["train"], labels)
    if spec.kind == "label" and labels is None:
        labels = _gather_labels(spec, train)
        train = _fill_options(train, labels)
    rows: dict[str, Dataset] = {}
    for name in ("validation", "test"):
        if name in parts:
            rows[name], more = _read_part(spec, parts[name], labels)
            skipped = [*skipped, *more]
    if spec.kind == "choice" and labels is None:
        labels = _find_shared_options([train, *rows.values()])
    shared = None if labels is None else tuple(labels)
    return Task(spec.name, spec, train, **rows, labels=shared, skipped=tuple(skipped))


def _get_labels(spec: TaskSpec, train: Part) -> list[str] | None:
    if spec.options is not None:
        return list(spec.options)
    labels = train.labels.get(spec.fields.answer)
    if labels is None and spec.kind == "label" and spec.fields.answer_is == "index":
        raise ConfigError(
            f"task {spec.name!r}: an answer that is an index needs the labels, got "
            "none. Set options to their names, in the order of the index."
        )
    return labels


def _name_labels(rows: RawRows, spec: TaskSpec, part: Part) -> RawRows:
    """Put names for the class numbers of a hub data set, unless the recipe has them."""
    field = spec.fields.answer
    names = part.labels.get(field)
    for row in rows:
        if names and spec.fields.answer_is == "text" and isinstance(row, RawRow):
            number = row.values[field]
            # -1 (and null) stand for "no label" on the hub.
            known = isinstance(number, int) and 0 <= number < len(names)
            values = {**row.values, field: names[number] if known else None}
            row = RawRow(row.where, values)
        yield row


def _read_part(
    spec: TaskSpec, part: Part, labels: Sequence[str] | None
) -> tuple[Dataset, list[RowFault]]:
    faults: list[RowFault] = []

    def keep_good() -> Iterable[dict[str, Any]]:
        named = _name_labels(part.rows(), spec, part)
        for row in check_rows(named, spec, labels):
            if isinstance(row, RowFault):
                faults.append(row)
            else:
                yield row

    try:
        rows = build_dataset(keep_good(), _get_features(spec.kind))
    except ConfigError as error:
        raise ConfigError(f"task {spec.name!r}: {error}") from error
    if faults and (spec.on_bad_row != "skip" or not len(rows)):
        raise RowError(spec.name, faults, len(rows) + len(faults))
    if not len(rows):
        raise ConfigError(
            f"task {spec.name!r}: {part.where} must hold at least one row, got none."
        )
    if faults:
        _LOG.warning(
            "task %r: %d bad rows of %s are left out (on_bad_row: skip); first: %s",
            *(spec.name, len(faults), part.where, faults[0]),
        )
    return rows, faults


def _get_features(kind: str) -> Features:
    from datasets import Features, List, Value

    text = Value("string")
    if kind == "chat":
        messages = List({"role": text, "content": text})
        return Features({"messages": messages, "answer": text, "where": text})
    return Features(
        {"prompt": text, "options": List(text), "answer": text, "where": text}
    )


def _gather_labels(spec: TaskSpec, train: Dataset) -> list[str]:
    labels = sorted(set(train["answer"]))
    check_options(labels, f"task {spec.name!r}: the answers of the training rows")
    return labels


def _fill_options(rows: Dataset, labels: Sequence[str]) -> Dataset:
    filled = ({**row, "options": list(labels)} for row in each_row(rows))
    return build_dataset(filled, rows.features)


def _find_shared_options(parts: Sequence[Dataset]) -> list[str] | None:
    """Find the options of a choice task if every row has the same, in any order."""
    first = parts[0][0]["options"]
    same = all(
        sorted(options) == sorted(first)
        for part in parts
        for options in part["options"]
    )
    return first if same else None


def _warn_of_leaks(task: Task) -> None:
    leaks = [] if task.test is None else find_leaks(task.train, task.test)
    if leaks:
        shown = ", ".join(leaks[:5]) + (", ..." if len(leaks) > 5 else "")
        warnings.warn(
            f"task {task.name!r}: test rows must not be training rows, got "
            f"{len(leaks)} whose input is in both ({shown}). "
            "Take them out of one file, or read the scores with care.",
            LeakageWarning,
            stacklevel=4,
        )


def _limit(task: Task, seed: int, share: float) -> Task:
    limits = task.spec.limits
    train, cut = cut_validation(
        task.train,
        share=share,
        train_rows=limits.train_rows,
        generator=make_generator(seed, "split", task.name),
    )
    # Last, so that the rows which choose and which judge are right, and the share is
    # that of the rows which are trained on.
    train = add_label_noise(
        train,
        share=task.spec.label_noise or 0.0,
        generator=make_generator(seed, "label noise", task.name),
    )
    test = task.test
    if test is not None:
        drawn_by = make_generator("test rows", task.name)
        test = draw_rows(test, limits.test_rows, drawn_by)
    return replace(
        task, train=train, validation=task.validation if cut is None else cut, test=test
    )
