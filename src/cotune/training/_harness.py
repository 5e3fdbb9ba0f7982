"""Score an adapter with lm-evaluation-harness (extra ``harness``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from .._errors import ConfigError, unknown_name
from .bases import Base, accepts_tasks

if TYPE_CHECKING:
    from ._harness_model import TaskModel


def build_harness_model(
    model: nn.Module,
    base: Base,
    *,
    tasks: str | Mapping[str, str] | None = None,
    batch_size: int = 8,
) -> TaskModel:
    """Wrap a causal model for ``lm_eval.simple_evaluate``.

    Args:
        model: The model, with or without an adapter.
        base: Gives the tokenizer and the names of the adapter's tasks.
        tasks: Which of the adapter's tasks the harness's requests belong to: one name
            for all; or harness task -> name. None: the adapter's default task.
        batch_size: Requests computed at once.

    Returns:
        A model of the harness.

    Raises:
        ConfigError: The harness is not installed; the base is no causal model; an
            unknown task; or tasks for a model that has none.

    Example:
        ``lm_eval.simple_evaluate(build_harness_model(model, base, tasks="sst2"),
        tasks=["sst2_local"], task_manager=TaskManager(include_path="my_tasks"))``
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise ConfigError(
            "harness: the package lm-eval must be installed, got none. "
            'Run: pip install "cotune[harness]".'
        )
    if base.spec.kind != "causal":
        raise ConfigError(
            f"harness: the base must be of kind causal, got {base.spec.kind}. "
            "Use cotune's own evaluation."
        )
    names = [tasks] if isinstance(tasks, str) else list((tasks or {}).values())
    for name in names:
        if name not in base.names:
            raise ConfigError(unknown_name("task", name, base.names))
    if names and not accepts_tasks(model):
        raise ConfigError(
            "harness: tasks need a model with a cotune adapter, got one without. "
            "Leave tasks out."
        )
    from ._harness_model import TaskModel

    return TaskModel(model, base.tokenizer, tasks, batch_size=batch_size)
