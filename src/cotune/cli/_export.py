"""``cotune export``."""

from pathlib import Path
from typing import Annotated

import typer

from ._options import AdapterArgument, SetOption, TaskOption, adapter_folder


def run_export(
    adapter: AdapterArgument,
    out: Annotated[Path, typer.Argument(help="Where to write; new or empty.")],
    task: TaskOption = None,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Cut to this rank; says the error.")
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Routed adapters: put each task's average router weights in the "
            "router's place. Needs a run with its data. Not exact; says the cost.",
        ),
    ] = False,
    set_: SetOption = None,
) -> None:
    """Write plain LoRA folders that PEFT, vLLM and TGI read.

    Without --task, one folder per task is written below OUT, if the adapter has parts
    per task.
    """
    from ._operators import check_out

    # Not even the adapter itself: its factors would be gone.
    check_out(out)
    if calibrate:
        _export_calibrated(adapter, out, task, rank, set_ or [])
    else:
        _export(adapter_folder(adapter), out, task, rank)


def _export(folder: Path, out: Path, task: str | None, rank: int | None) -> None:
    from .._adapter_file import read_adapter
    from ..adapters import has_task_parts
    from ..operators.convert import export_lora
    from ._show import show

    adapter = read_adapter(folder)
    if adapter.coupling == "router":
        adapter.task_index(task)
    apart = task is None and has_task_parts(adapter.config)
    for name in adapter.tasks if apart else [task]:
        place = out / str(name) if apart else out
        written = export_lora(adapter, place, task=name, rank=rank)
        whose = f"task {written.task}, " if written.task else ""
        cut = f"rank {written.rank}, relative error {written.error:.2g}"
        show(f"{written.folder}: {whose}{cut}")


def _export_calibrated(
    run: Path, out: Path, task: str | None, rank: int | None, changes: list[str]
) -> None:
    from ..recipes import export_calibrated
    from ._show import show

    for one in export_calibrated(run, out, task=task, rank=rank, overrides=changes):
        scores = f"{one.metric} {one.routed:.3f} routed, {one.plain:.3f} exported"
        cut = f"rank {one.rank}, relative error of the cut {one.error:.2g}"
        show(f"{one.folder}: task {one.task}, {cut}; {scores}")
