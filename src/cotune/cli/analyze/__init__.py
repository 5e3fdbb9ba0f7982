"""``cotune analyze``: what trained adapters are like. One file per command."""

from __future__ import annotations

from importlib import import_module

import typer

from .._group import Group

COMMANDS = {
    "similarity": "Compare the subspaces of factors, beside what random ones have.",
    "fusion-gap": "Measure how far averaging factors is from averaging updates.",
    "change": "Measure how far training moved a factor, in angle and in length.",
    "connectivity": "Score the averages of runs of one recipe with different seeds.",
    "stability": "Score a run with every group of adapters on with probability q.",
    "contribution": "Share what a run gained among its layers: Shapley values.",
    "pruning": "Score a run with parts of its adapter taken away.",
    "merging": "Score runs of several tasks merged into one adapter.",
    "conflict": "Compare the gradients of a run's tasks on a factor that they share.",
    "affinity": "Say which tasks to train together and which to keep apart.",
    "sharing": "Say which factor tasks or clients should share: A or B.",
}

analyze = typer.Typer(
    name="analyze",
    cls=Group,
    help="What trained adapters are like: alike, connected, stable, at odds.",
    no_args_is_help=True,
)

for _name, _help in COMMANDS.items():
    _stem = _name.replace("-", "_")
    _module = import_module(f"._{_stem}", __name__)
    analyze.command(_name, help=_help)(getattr(_module, f"run_{_stem}"))
