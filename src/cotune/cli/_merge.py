"""``cotune merge``."""

from pathlib import Path
from typing import Annotated

import typer

from ._options import RunArgument, TaskOption


def run_merge(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="Where to write the model.")],
    task: TaskOption = None,
) -> None:
    """Write the base model with one task's update inside, as a plain model."""
    from contextlib import nullcontext

    from rich import print as show

    from ..adapters import use_tasks
    from ..recipes import open_run

    opened = open_run(run, with_data=False)
    with use_tasks(opened.model, task) if task else nullcontext():
        merged = opened.model.merge_and_unload(safe_merge=True)
    merged.save_pretrained(out)
    opened.base.tokenizer.save_pretrained(out)
    show(f"The merged model lies in {out}")
