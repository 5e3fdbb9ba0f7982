"""One trained run of each kind, made once."""

import os
from pathlib import Path

import pytest

from recipes.small_world import run, write_world

os.environ["COLUMNS"] = "120"  # so that tables have room, whatever the terminal


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """Return a folder with a base, data and a recipe."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="session")
def trained(world) -> Path:
    """Return the folder of a finished run: CoLoRA on two tasks."""
    folder = world / "trained"
    run("train", world / "recipe.yaml", "--set", f"output_dir={folder}")
    return folder


@pytest.fixture(scope="session")
def routed(world) -> Path:
    """Return the folder of a finished run with a router."""
    folder = world / "routed"
    changes = f"output_dir={folder}", "adapter.method=alora", "adapter.num_A=2"
    options = [word for change in changes for word in ("--set", change)]
    run("train", world / "recipe.yaml", *options)
    return folder
