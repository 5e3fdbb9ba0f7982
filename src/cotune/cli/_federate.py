"""``cotune federate``."""

from __future__ import annotations

from typing import Annotated

import typer

from ._options import RecipeArgument, SetOption


def run_federate(
    recipe: RecipeArgument,
    set_: SetOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted run in its output_dir, or start there.",
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="simulation: Flower on Ray, several clients at a time. local: in this "
            "process, one client after the other.",
        ),
    ] = "simulation",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", "-w", min=1, help="Clients at a time; default: one per core."
        ),
    ] = None,
    gpus: Annotated[
        float, typer.Option(min=0.0, help="Share of a GPU per worker, e.g. 0.5.")
    ] = 0.0,
    superlink: Annotated[
        str | None,
        typer.Option(
            "--superlink",
            metavar="NAME",
            help="Run on a deployment: name of a connection in Flower's config.toml, "
            "or HOST:PORT of a SuperLink without TLS.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what would leave a client; run nothing."),
    ] = False,
    layers: Annotated[
        int, typer.Option(min=0, help="How many layers --explain shows; 0: all.")
    ] = 4,
) -> None:
    """Train clients that share some factors and keep their rows, and score them.

    On this machine, and all that it starts it also stops; or on a deployment, where
    SuperLink and SuperNodes run already.
    """
    from transformers.utils import logging

    from ..recipes import explain_federation, federate, read_recipe, submit
    from ._federate_explain import build_explain_tables
    from ._federate_show import (
        RoundsBar,
        build_clients_table,
        describe_losses,
        read_engine,
    )
    from ._show import show

    chosen = read_engine(engine)
    logging.disable_progress_bar()
    read = read_recipe(recipe, set_ or [])
    if explain:
        show(*build_explain_tables(explain_federation(read), layers))
        return
    if superlink is not None:
        submit(read, superlink, resume=resume, say=show)
        return
    with RoundsBar() as bar:
        folder = federate(
            read,
            engine=chosen,
            workers=workers,
            gpus=gpus,
            resume=resume,
            watch=bar.watch,
        )
    show(build_clients_table(folder))
    if losses := describe_losses(folder):
        show(losses)
    show(f"Everything lies in {folder}")
