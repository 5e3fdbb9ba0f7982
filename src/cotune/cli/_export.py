"""``cotune export``."""

from pathlib import Path
from typing import Annotated

import typer

from ._options import AdapterArgument, SetOption, TaskOption, adapter_folder


def run_export(
    adapter: AdapterArgument,
    out: Annotated[Path, typer.Argument(help="Where to write.")],
    task: TaskOption = None,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Cut to this rank; says the error.")
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
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
    from rich import print as show

    if calibrate:
        from ..recipes import export_calibrated

        changes = tuple(set_ or ())
        done = export_calibrated(adapter, out, task=task, rank=rank, overrides=changes)
        for one in done:
            scores = f"{one.metric} {one.routed:.3f} routed, {one.plain:.3f} exported"
            show(f"{one.folder}: task {one.task}, rank {one.rank}, {scores}")
        return
    from .._adapter_file import read_adapter
    from ..adapters import has_task_parts
    from ..operators.convert import export_lora

    value = read_adapter(adapter_folder(adapter))
    every = list(value.tasks) if task is None and has_task_parts(value.config) else []
    for name in every or [task]:
        folder = out / str(name) if every else out
        written = export_lora(value, folder, task=name, rank=rank)
        whose = f"task {written.task}, " if written.task else ""
        cut = f"rank {written.rank}, relative error {written.error:.2g}"
        show(f"{written.folder}: {whose}{cut}")
