"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[
    str,
    typer.Argument(help="A YAML file, a run folder, or the name of a shipped recipe."),
]
RunArgument = Annotated[
    Path, typer.Argument(help="Folder of a finished run (its output_dir).")
]
AdapterArgument = Annotated[
    Path, typer.Argument(help="Adapter folder, of cotune or PEFT's LoRA, or a run.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the recipe, e.g. training.learning_rate=1e-4. Repeatable.",
    ),
]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="Whose update; else the default task.")
]


def adapter_folder(path: Path) -> Path:
    """Return the adapter folder of a run, or the path itself.

    Args:
        path: A run folder or an adapter folder.
    """
    return path / "adapter" if (path / "adapter").is_dir() else path
