"""Arguments and options that several commands of ``cotune analyze`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AdaptersArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Adapter folders, of cotune or PEFT's LoRA, or runs; a run with one "
        "adapter per task stands for all of them."
    ),
]
RunsArgument = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="JSON file to write. Commands that score a model write into the run, "
        "folder analysis/, if it is left out, and keep finished evaluations beside it."
    ),
]
PlotOption = Annotated[
    Path | None, typer.Option(help="Picture to write (.png or .svg).")
]
RowsOption = Annotated[
    int | None, typer.Option(min=1, help="Most rows per task; else all.")
]
DataOption = Annotated[
    Path | None, typer.Option(help="Folder of the data, instead of the run's.")
]
TasksOption = Annotated[
    list[str] | None, typer.Option("--task", help="A task; repeatable; else all.")
]
ByOption = Annotated[
    str, typer.Option(help="What is switched off together: block, module or third.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the draws.")]
FactorOption = Annotated[str, typer.Option(help="Which factor: A or B.")]
