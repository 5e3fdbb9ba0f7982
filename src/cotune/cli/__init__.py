"""The command ``cotune``: one small file per command, heavy imports inside it."""

from __future__ import annotations

import os
import warnings
from importlib import import_module

import typer

from ._group import Group
from .analyze import analyze

COMMANDS = {
    "demo": "Show the point of the project on the embedded model, offline.",
    "train": "Train what a recipe says.",
    "evaluate": "Score a run again: base model and adapter, per task.",
    "compare": "Train several methods on the same data, tuned alike.",
    "federate": "Train clients that share some factors and keep their rows.",
    "export": "Write an adapter as plain PEFT LoRA, one folder per task.",
    "merge": "Write a full model with one task's update merged in.",
    "merge-adapters": "Merge several adapters into one, or into a full model.",
    "prune-adapter": "Write a smaller adapter: fewer layers, or fewer numbers.",
    "generate": "Write text with a trained adapter.",
    "report": "Write one HTML page about runs: curves, scores, maps, recipe.",
    "explain": "Show factors, shapes, owners, parameters and bytes per layer.",
    "lab": "Repeat the theory's experiments, with their checks and a picture.",
    "methods": "Show the table of methods.",
    "check": "Check a recipe and its data without training.",
    "doctor": "Show versions and devices, and look for common mistakes.",
}

app = typer.Typer(
    name="cotune",
    cls=Group,
    help="Collaborative low-rank adaptation: many tasks or parties, one shared LoRA.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name, _help in COMMANDS.items():
    _stem = _name.replace("-", "_")
    _module = import_module(f"._{_stem}", __name__)
    app.command(_name, help=_help)(getattr(_module, f"run_{_stem}"))
app.add_typer(analyze)


def main() -> None:
    """Run the command line.

    Mistakes of the caller end with one message and code 2; any other error keeps its
    traceback.
    """
    _hush()
    app()


def _hush() -> None:
    # PEFT reads a property of transformers that is to get another name. Nobody at the
    # command line can do anything about it; workers read the variable.
    told = "`is_gradient_checkpointing` is deprecated"
    warnings.filterwarnings("ignore", message=told, category=FutureWarning)
    known = os.environ.get("PYTHONWARNINGS")
    ours = f"ignore:{told}:FutureWarning"
    os.environ["PYTHONWARNINGS"] = f"{known},{ours}" if known else ours
