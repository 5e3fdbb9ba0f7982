"""What a line leaves behind: one JSON file per profile and group of settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from benchmarks.evidence.arms import SEPARATE
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.files import write
from benchmarks.evidence.parts import Part, decide
from benchmarks.evidence.runs import ArmRuns, Runs
from benchmarks.harness import hardware


def describe(runs: Runs) -> dict[str, Any]:
    """Describe all arms of a setting: scores, choice of rate, cost."""
    alone = runs.arms.get(SEPARATE)
    base = {task: fmean(rows) for task, rows in runs.base.items()}
    return {
        "setting": runs.setting,
        "model": Path(runs.recipe.base.name).name,
        "steps": runs.recipe.training.max_steps,
        "rows_per_step": runs.recipe.training.per_device_train_batch_size,
        "train_rows_per_task": runs.recipe.data.limits.train_rows,
        "max_length": runs.recipe.data.encode.max_length,
        "chance": runs.chance,
        "base": {"mean": fmean(base.values()), "tasks": base},
        "arms": [_describe(arm, alone) for arm in runs.arms.values()],
    }


def _describe(arm: ArmRuns, alone: ArmRuns | None) -> dict[str, Any]:
    tasks = list(arm.scores[0])
    means = {task: fmean(seed[task] for seed in arm.scores) for task in tasks}
    return {
        "name": arm.arm.name,
        "changes": list(arm.arm.overrides),
        "rate": arm.rate,
        "rate_at_edge": arm.is_at_edge,
        "validation_by_rate": {f"{k:g}": v for k, v in arm.tried.items()},
        "mean": fmean(arm.means),
        "by_seed": arm.means,
        "worst_task": fmean(arm.worsts),
        "spread_of_tasks": pstdev(means.values()),
        "dm": None if alone is None else fmean(multi_task_change(arm, alone)),
        "tasks": means,
        "parameters": arm.cells[0].parameters,
        "seconds": fmean(cell.seconds for cell in arm.cells),
    }


def multi_task_change(arm: ArmRuns, alone: ArmRuns) -> list[float]:
    """Return dm in percent against training alone, per seed; lower is better.

    dm = 100/K sum_k -(M_k - S_k) / S_k, for scores where higher is better.
    """
    return [
        -100 * fmean((ours[task] - one) / one for task, one in theirs.items() if one)
        for ours, theirs in zip(arm.scores, alone.scores, strict=True)
    ]


def write_record(
    folder: Path,
    bench: Bench,
    parts: Sequence[Part],
    *,
    seconds: float,
    extra: Mapping[str, Any],
) -> Path:
    """Write the record of a line in one move.

    Args:
        folder: Of the line.
        bench: What was run.
        parts: What was measured.
        seconds: Wall time, cells that were read from the cache not counted.
        extra: Further numbers of the line.
    """
    profile = bench.profile
    record = {
        "line": folder.name,
        "profile": profile.name,
        "seeds": list(profile.seeds),
        "tuning_seeds": list(bench.tuning_seeds),
        "learning_rates": list(bench.rates),
        "verdict": decide(parts),
        "parts": [part.as_dict() for part in parts],
        "settings": [describe(runs) for runs in bench.seen],
        "extra": _plain(dict(extra)),
        "seconds": round(seconds, 1),
        "hardware": hardware("cpu"),
    }
    path = folder / "results" / f"{profile.name}.json"
    write(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    return path


def _plain(value: Any) -> Any:
    """Turn numbers that JSON cannot hold into null."""
    match value:
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float():
            return value if math.isfinite(value) else None
    return value
