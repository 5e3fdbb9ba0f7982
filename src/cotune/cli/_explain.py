"""``cotune explain``."""

from pathlib import Path
from typing import Annotated

import typer

from ._options import SetOption


def run_explain(
    what: Annotated[str, typer.Argument(help="A recipe, an adapter folder, or a run.")],
    set_: SetOption = None,
    layers: Annotated[
        int, typer.Option(min=0, help="How many layers to show one by one; 0: all.")
    ] = 8,
) -> None:
    """Show factors, shapes, owners, parameters and bytes, per layer and in all.

    Of a recipe only the base model's config is loaded: nothing is computed.
    """
    from .._adapter_file import CONFIG, read_adapter
    from ..adapters import explain_adapter, explain_model
    from ._explain_table import build_explain_table
    from ._options import adapter_folder
    from ._show import show

    folder = adapter_folder(Path(what))
    if (folder / CONFIG).is_file():
        lines = explain_adapter(read_adapter(folder))
    else:
        from ..recipes import build_shape, read_recipe

        lines = explain_model(build_shape(read_recipe(what, set_ or [])))
    show(build_explain_table(lines, layers))
