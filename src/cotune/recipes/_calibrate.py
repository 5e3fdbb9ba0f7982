"""Export a routed adapter with each task's average router weights, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..data import Task
from ._open import OpenedRun, open_base, open_run

if TYPE_CHECKING:
    from ..operators.convert import Exported


@dataclass(frozen=True)
class Calibrated:
    """One exported task.

    Args:
        folder: Where.
        task: Whose average was taken.
        rank: Largest rank of a layer.
        error: Relative error from cutting the rank, as in ``export_lora``.
        metric: Of both scores.
        routed: Score of the routed adapter on the task's test (or validation) rows.
        plain: Score of the exported LoRA on the same rows.
    """

    folder: Path
    task: str
    rank: int
    error: float
    metric: str
    routed: float
    plain: float


def export_calibrated(
    run: str | Path,
    out: str | Path,
    *,
    task: str | None = None,
    rank: int | None = None,
    overrides: Sequence[str] = (),
) -> list[Calibrated]:
    """Write one LoRA per task with averages in the router's place, and measure it.

    Args:
        run: Folder of a run with a routed adapter; its data must be at hand.
        out: A folder per task is written below it.
        task: Only this one.
        rank: Cut to this rank.
        overrides: Changes to the run's recipe, e.g. ``data.root=elsewhere``.

    Returns:
        What was written, with the score before and after.

    Raises:
        ConfigError: No such run or task, or the adapter has no router.
    """
    opened = open_run(run, overrides)
    opened.check_task(task)
    chosen = [one for one in opened.tasks if task in (None, one.name)]
    return [_export(opened, Path(run), one, Path(out), rank) for one in chosen]


def _export(
    opened: OpenedRun, run: Path, task: Task, out: Path, rank: int | None
) -> Calibrated:
    from .._adapter_file import read_adapter
    from ..adapters import average_shares
    from ..operators.convert import export_lora
    from ..training import predict

    shares = average_shares(
        opened.model, lambda: predict(opened.model, opened.base, task, part="train")
    )
    adapter = read_adapter(run / "adapter")
    whose = task.name if task.name in adapter.tasks else None
    folder = out / task.name
    written = export_lora(adapter, folder, task=whose, rank=rank, shares=shares)
    return _measure(opened, task, written)


def _measure(opened: OpenedRun, task: Task, written: Exported) -> Calibrated:
    from .._load import load_adapter
    from ..training import choose_parts, score_task

    part, spec = choose_parts([task])[task.name], opened.recipe.evaluation
    routed, _ = score_task(opened.model, opened.base, task, part, spec)
    fresh = open_base(opened.recipe, opened.tasks)
    model = load_adapter(fresh.base.model, written.folder)
    plain, _ = score_task(model, fresh.base, task, part, spec)
    return Calibrated(
        folder=written.folder,
        task=task.name,
        rank=written.rank,
        error=written.error,
        metric=task.spec.metric_name,
        routed=routed,
        plain=plain,
    )
