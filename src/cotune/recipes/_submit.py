"""Send a federation to a SuperLink that runs already."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ._federate import build_plan
from ._flower_run import run_app
from ._recipe import Recipe
from ._record import write_recipe
from ._whole import with_whole_paths

PACKAGE = "cotune_federation"
CONNECTION = "cotune"

_PROJECT = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "cotune-federation"
version = "1.0.0"
description = "A federation of cotune"
license = {{ file = "LICENSE" }}
dependencies = ["cotune[federated]"]

[tool.flwr.app]
publisher = "cotune"
fab-include = ["{PACKAGE}/*.py", "{PACKAGE}/*.yaml", "LICENSE"]

[tool.flwr.app.components]
serverapp = "{PACKAGE}.server:app"
clientapp = "{PACKAGE}.client:app"

[tool.flwr.app.config]
resume = false
"""

_APP = """\
from pathlib import Path

from cotune.recipes import {builder}

app = {builder}(Path(__file__).with_name("recipe.yaml"))
"""

_LICENSE = """\
The recipe in this folder belongs to whoever wrote it. The code that it runs is cotune,
under the Apache License 2.0.
"""


def write_app(recipe: Recipe, folder: Path) -> Path:
    """Write the Flower app of a federation: a recipe, and two files that name cotune.

    Args:
        recipe: Has a section ``federated``; its ``output_dir`` is the server's.
        folder: Where; made if it is not there.

    Returns:
        The folder, for ``flwr run``.

    Raises:
        ConfigError: Faults of the recipe.
    """
    recipe = with_whole_paths(recipe)
    build_plan(recipe)
    package = folder / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    (folder / "LICENSE").write_text(_LICENSE, encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    builders = {"server": "build_deployed_server", "client": "build_node_app"}
    for name, builder in builders.items():
        text = _APP.format(builder=builder)
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    write_recipe(recipe, package)
    return folder


def submit(
    recipe: Recipe,
    superlink: str,
    *,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Run a federation on a deployment, and pass its log on until it ends.

    Args:
        recipe: Has a section ``federated``.
        superlink: Name of a connection in Flower's ``config.toml``, or ``host:port`` of
            a SuperLink without TLS.
        resume: Go on from the checkpoint in ``output_dir`` on the server.
        say: Is given the log, line by line.

    Returns:
        The run folder, on the server's machine.

    Raises:
        ConfigError: Faults of the recipe, Flower is not installed or refuses the run,
            or the run does not end well.
    """
    from ..federated.engines._quiet import SILENCE, need_flower

    need_flower()
    with TemporaryDirectory(prefix="cotune-") as folder:
        app = write_app(recipe, Path(folder) / PACKAGE)
        environment = {**os.environ, **SILENCE}
        if ":" in superlink:
            environment["FLWR_HOME"] = str(_write_home(Path(folder), superlink))
            superlink = CONNECTION
        run_app(app, superlink, environment, resume=resume, say=say)
    return Path(with_whole_paths(recipe).output_dir)


def _write_home(folder: Path, address: str) -> Path:
    """Write Flower's own config for one connection."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
        f'address = "{address}"\ninsecure = true\n',
        encoding="utf-8",
    )
    return home
