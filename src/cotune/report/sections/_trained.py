"""What was trained, in a table and a few large numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Cell, Section, Table, Tile, Tiles
from .._numbers import as_number, show_number
from .._run_folder import RunFolder

_MOST_TILES = 6


def build_trained(runs: Sequence[RunFolder]) -> Section | None:
    """Say what was trained, and show the mean scores.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no folder says what was trained.
    """
    known = [run for run in runs if run.recipe or run.settings]
    if not known:
        return None
    facts = {run.name: _facts(run) for run in known}
    labels = dict.fromkeys(label for found in facts.values() for label in found)
    rows = [
        [label, *(found.get(label) for found in facts.values())] for label in labels
    ]
    table = Table("Settings and cost", ["", *facts], rows)
    tiles = [tile for run in known for tile in _tiles(run)]
    blocks = [Tiles(tiles), table] if 0 < len(tiles) <= _MOST_TILES else [table]
    about = known[0].recipe.get("description") if len(known) == 1 else None
    return Section("What was trained", str(about or ""), blocks)


def _tiles(run: RunFolder) -> list[Tile]:
    base = run.metrics.get("summary", {}).get("base", {})
    tiles: list[Tile] = []
    for metric, found in run.metrics.get("summary", {}).get("adapter", {}).items():
        before = as_number(base.get(metric, {}).get("mean"))
        note = f"base {show_number(before)}" if before is not None else ""
        label = f"{run.name}: mean {metric} of {len(run.tasks)} tasks"
        tiles.append(Tile(label, as_number(found["mean"]), note))
    return tiles


def _facts(run: RunFolder) -> dict[str, Cell]:
    told = run.recipe or run.settings
    training: Mapping[str, Any] = told.get("training") or {}
    plans = [leaf.settings.get("tasks") or {} for leaf in run.leaves]
    rows = [as_number(task.get("rows")) for plan in plans for task in plan.values()]
    facts: dict[str, Cell] = {
        "Base model": _text((told.get("base") or {}).get("name")),
        "Method": _method(run),
        "Schedule": _text((run.recipe.get("schedule") or {}).get("name")),
        "Tasks": sum(len(plan) for plan in plans) or len(run.tasks) or None,
        "Training rows": sum(int(row) for row in rows if row is not None) or None,
        "Steps": _steps(run),
        "Rows per step": _rows_per_step(training),
        "Learning rate": as_number(training.get("learning_rate")),
        "Seed": as_number(training.get("seed")),
        "Numbers trained": _count(run),
        "Training time in seconds": _seconds(run),
    }
    return {label: value for label, value in facts.items() if value is not None}


def _method(run: RunFolder) -> str | None:
    """Name the method with what it was resolved to, e.g. ``cola, r 8, 2 A, 3 B``."""
    adapter = run.leaves[0].settings.get("adapter") or run.recipe.get("adapter") or {}
    if not adapter:
        return None
    name = adapter.get("method") or adapter.get("peft_type")
    words = [str(name), f"r {adapter['r']}" if adapter.get("r") else ""]
    for key, word in (("num_A", "A"), ("num_B", "B")):
        words.append(f"{adapter[key]} {word}" if adapter.get(key) else "")
    words.append(str(adapter.get("coupling") or ""))
    words.append("one adapter per task" if run.recipe.get("separate") else "")
    return ", ".join(word for word in words if word)


def _steps(run: RunFolder) -> int | None:
    steps = [entry.get("step", 0) for leaf in run.leaves for entry in leaf.history[-1:]]
    return sum(steps) or None


def _rows_per_step(training: Mapping[str, Any]) -> int | None:
    batch = training.get("per_device_train_batch_size")
    return batch and batch * (training.get("gradient_accumulation_steps") or 1)


def _count(run: RunFolder) -> int | None:
    from ..._adapter_file import read_adapter
    from ..._errors import AdapterFileError

    try:
        adapters = [leaf.adapter for leaf in run.leaves if leaf.adapter is not None]
        return sum(read_adapter(folder).parameters() for folder in adapters) or None
    except AdapterFileError:
        # An adapter of another method of PEFT: its other files still tell a lot.
        return None


def _seconds(run: RunFolder) -> float | None:
    entries = [entry for leaf in run.leaves for entry in leaf.history]
    times = [as_number(entry.get("train_runtime")) for entry in entries]
    return sum(time for time in times if time is not None) or None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
