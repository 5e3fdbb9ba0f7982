"""What can be wrong with the fields of a config, one line per fault."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING

from .._errors import unknown_name

if TYPE_CHECKING:
    from ._config import CoTuneConfig


def form_faults(config: CoTuneConfig) -> Iterator[str]:
    """Find values of the wrong kind or range, and fields that PEFT would ignore.

    Args:
        config: As the caller wrote it; the method has filled in nothing yet.

    Yields:
        One sentence per fault.
    """
    tasks: object = config.tasks
    if isinstance(tasks, str):
        yield f"tasks: must be a list of names, got {tasks!r}. Write [{tasks!r}]."
    yield from _size_faults(config)
    yield from _number_faults(config)
    yield from _pattern_faults(config)
    yield from _block_faults(config)


def task_faults(config: CoTuneConfig) -> Iterator[str]:
    """Find faults of the tasks, which depend on the method.

    Args:
        config: With all fields filled in.

    Yields:
        One sentence per fault.
    """
    tasks = config.tasks or []
    twice = sorted({task for task in tasks if tasks.count(task) > 1})
    if twice:
        yield f"tasks: names must differ, got {', '.join(twice)} more than once."
    if any(not isinstance(task, str) or not task for task in tasks):
        yield f"tasks: must be non-empty names, got {tasks!r}."
    per_task = config.needs_tasks or "tasks" in (config.num_A, config.num_B)
    if per_task and not tasks:
        yield (
            f"tasks: method '{config.method}' with coupling '{config.coupling}' and "
            f"core '{config.core}' has parts per task, got no names. Pass tasks=[...]."
        )
    if config.default_task is not None and config.default_task not in tasks:
        yield f"default_task: {unknown_name('task', config.default_task, tasks)}"


def _size_faults(config: CoTuneConfig) -> Iterator[str]:
    for name in ("num_A", "num_B", "r", "start_svd_iterations"):
        value: object = getattr(config, name)
        left_open = value in (None, "tasks") and name in ("num_A", "num_B")
        least = 0 if name == "start_svd_iterations" else 1
        if not left_open and not _is_count(value, least):
            yield f"{name}: must be a whole number >= {least}, got {value!r}."


def _number_faults(config: CoTuneConfig) -> Iterator[str]:
    if not (_is_number(config.lora_dropout) and 0 <= config.lora_dropout < 1):
        yield f"lora_dropout: must be in [0, 1), got {config.lora_dropout!r}."
    if not (_is_number(config.lora_alpha) and config.lora_alpha > 0):
        yield f"lora_alpha: must be > 0, got {config.lora_alpha!r}."
    if not (_is_number(config.router_balance) and config.router_balance >= 0):
        yield f"router_balance: must be >= 0, got {config.router_balance!r}."


def _pattern_faults(config: CoTuneConfig) -> Iterator[str]:
    ranks: Mapping[str, object] = config.rank_pattern or {}
    for layer, rank in ranks.items():
        if not _is_count(rank, 1):
            yield f"rank_pattern[{layer!r}]: must be >= 1, got {rank!r}."
    for layer, alpha in (config.alpha_pattern or {}).items():
        if not (_is_number(alpha) and alpha > 0):
            yield f"alpha_pattern[{layer!r}]: must be > 0, got {alpha!r}."


def _block_faults(config: CoTuneConfig) -> Iterator[str]:
    # PEFT would ignore these fields beside a string, and a pattern without indices.
    for name in ("layers_to_transform", "layers_pattern"):
        value = getattr(config, name)
        if isinstance(config.target_modules, str) and value is not None:
            yield (
                f"{name}: needs a list of target_modules, got {value!r} beside "
                f"{config.target_modules!r}. List the names of the layers."
            )
    if config.layers_pattern and config.layers_to_transform is None:
        yield (
            "layers_pattern: needs layers_to_transform, got "
            f"{config.layers_pattern!r} alone. Say which blocks to adapt."
        )


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return math.isfinite(value)
