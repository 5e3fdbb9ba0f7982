"""``cotune merge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import RunArgument, SetOption, TaskOption

if TYPE_CHECKING:
    from ..recipes import OpenedRun


def run_merge(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="Where to write the model; new.")],
    task: TaskOption = None,
    set_: SetOption = None,
) -> None:
    """Write the base model with one task's update inside, as a plain model."""
    from .._errors import ConfigError
    from ..recipes import open_run
    from ._show import show

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            f"out: must be new or empty, got {out}, which is in use. Choose another."
        )
    opened = open_run(run, set_ or [], with_data=False)
    task = opened.choose_task(task)
    _write(opened, out, task)
    show(f"The merged model lies in {out}")


def _write(opened: OpenedRun, out: Path, task: str | None) -> None:
    import os
    import tempfile
    from contextlib import nullcontext

    from ..adapters import use_tasks

    with use_tasks(opened.model, task) if task else nullcontext():
        merged = opened.model.merge_and_unload(safe_merge=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merging-", dir=out.parent) as draft:
        merged.save_pretrained(Path(draft) / "model")
        opened.base.tokenizer.save_pretrained(Path(draft) / "model")
        if out.is_dir():
            out.rmdir()
        os.replace(Path(draft) / "model", out)
