"""Score a model on tasks, with and without its adapter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from .._errors import ConfigError
from ..data import METRICS, Task
from ._evaluation import Evaluation, TaskScore
from ._predict import predict
from ._spec import EvaluationSpec
from .bases import Base

if TYPE_CHECKING:
    from ..data._source import PartName


def evaluate(
    model: nn.Module,
    tasks: Sequence[Task],
    base: Base,
    *,
    parts: Mapping[str, PartName] | None = None,
    spec: EvaluationSpec | None = None,
    compare_base: bool = True,
    single: Mapping[str, float] | None = None,
) -> Evaluation:
    """Score a model on each task, the base model beside the adapter.

    Args:
        model: A PEFT model; or a model without an adapter, whose score then counts as
            the base's.
        tasks: The tasks.
        base: How rows become batches and answers.
        parts: Task -> which rows; None: test rows, or validation rows where a task has
            none.
        spec: Batch size and length of answers; None: the defaults.
        compare_base: Also score with the adapter switched off.
        single: Task -> score of training on it alone, for dm%.

    Returns:
        The scores.

    Raises:
        ConfigError: A task without rows to score, or rows that do not fit.

    Example:
        ``evaluate(model, tasks, base).save(Path("metrics.json"))``
    """
    parts = choose_parts(tasks) if parts is None else parts
    has_adapter = _has_adapter(model)
    adapter = score_tasks(model, base, tasks, parts, spec) if has_adapter else {}
    plain: dict[str, float] = {}
    if compare_base or not has_adapter:
        with _without_adapter(model):
            plain = score_tasks(model, base, tasks, parts, spec)
    found = compare(tasks, parts, plain, adapter)
    return found if single is None else found.with_single(single)


def score_tasks(
    model: nn.Module,
    base: Base,
    tasks: Sequence[Task],
    parts: Mapping[str, PartName],
    spec: EvaluationSpec | None = None,
) -> dict[str, float]:
    """Score a model on each task, as it is.

    Args:
        model: The model.
        base: How rows become batches and answers.
        tasks: The tasks.
        parts: Task -> which rows.
        spec: As in :func:`evaluate`.

    Returns:
        Task -> score in its metric.

    Raises:
        ConfigError: As :func:`evaluate`.
    """
    scores: dict[str, float] = {}
    for task in tasks:
        scores[task.name], _ = score_task(model, base, task, parts[task.name], spec)
    return scores


def score_task(
    model: nn.Module,
    base: Base,
    task: Task,
    part: PartName,
    spec: EvaluationSpec | None = None,
) -> tuple[float, float | None]:
    """Score a model on one task, as it is.

    Args:
        model: The model.
        base: How rows become batches and answers.
        task: The task.
        part: Which rows.
        spec: As in :func:`evaluate`.

    Returns:
        The score in the task's metric, and the mean loss in nats; None for the loss if
        answers were written.

    Raises:
        ConfigError: As :func:`evaluate`.
    """
    predictions, answers = predict(model, base, task, part=part, spec=spec)
    metric = METRICS[task.spec.metric_name]
    losses = [one.loss for one in predictions if one.loss is not None]
    read = losses if metric.reads == "loss" else [one.text for one in predictions]
    complete = len(losses) == len(predictions)
    return metric(read, answers), fmean(losses) if complete else None


def compare(
    tasks: Iterable[Task],
    parts: Mapping[str, PartName],
    base: Mapping[str, float],
    adapter: Mapping[str, float],
) -> Evaluation:
    """Put the scores of two models side by side.

    Args:
        tasks: The tasks.
        parts: Task -> which rows were scored.
        base: Task -> score of the base model; empty if it was not scored.
        adapter: Task -> score with the adapter; empty if there is none.

    Returns:
        The evaluation.
    """
    scores: list[TaskScore] = []
    for task in tasks:
        metric, part = METRICS[task.spec.metric_name], parts[task.name]
        rows = {"train": task.train, "validation": task.validation, "test": task.test}
        scores.append(
            TaskScore(
                task=task.name,
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                part=part,
                rows=len(rows[part] or ()),
                base=base.get(task.name),
                adapter=adapter.get(task.name),
            )
        )
    return Evaluation(tuple(scores))


def name_metrics(
    tasks: Sequence[Task], scored: Mapping[str, tuple[float, float | None]]
) -> dict[str, float]:
    """Name the scores of one evaluation in training, and those over all tasks.

    Args:
        tasks: The tasks.
        scored: Task -> score and mean loss, as from :func:`score_task`.

    Returns:
        ``<task>_<metric>``, ``<task>_loss``, ``mean_<metric>``, ``worst_<metric>`` and,
        if every task has a loss, their mean ``loss``.
    """
    found: dict[str, float] = {}
    for task in tasks:
        score, loss = scored[task.name]
        found[f"{task.name}_{task.spec.metric_name}"] = score
        if loss is not None:
            found[f"{task.name}_loss"] = loss
    groups: dict[str, list[float]] = {}
    for task in tasks:
        groups.setdefault(task.spec.metric_name, []).append(scored[task.name][0])
    for metric, scores in groups.items():
        choose = min if METRICS[metric].higher_is_better else max
        found[f"mean_{metric}"] = fmean(scores)
        found[f"worst_{metric}"] = choose(scores)
    losses = [loss for _, loss in scored.values() if loss is not None]
    if len(losses) == len(scored):
        found["loss"] = fmean(losses)
    return found


def choose_parts(tasks: Iterable[Task]) -> dict[str, PartName]:
    """Choose which rows score each task at the end of a run.

    Args:
        tasks: The tasks.

    Returns:
        Task -> ``test``, or ``validation`` where there are no test rows.

    Raises:
        ConfigError: A task has neither.
    """
    return {task.name: _choose_part(task) for task in tasks}


def _choose_part(task: Task) -> PartName:
    if task.test is not None:
        return "test"
    if task.validation is not None:
        return "validation"
    raise ConfigError(
        f"task {task.name!r}: there must be test or validation rows to score, got "
        "none. Set source.test, or validation_share."
    )


def _has_adapter(model: nn.Module) -> bool:
    from peft import PeftModel

    return any(isinstance(module, PeftModel) for module in model.modules())


@contextmanager
def _without_adapter(model: nn.Module) -> Iterator[None]:
    from peft import PeftModel

    found = [module for module in model.modules() if isinstance(module, PeftModel)]
    if not found:
        yield
        return
    with cast(Any, found[0]).disable_adapter():
        yield
