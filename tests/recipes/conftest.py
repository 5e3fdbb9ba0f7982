"""A small world, and runs in it, made once."""

from pathlib import Path

import pytest

from cotune.recipes import Recipe, read_recipe, run_recipe
from recipes.small_world import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """Return a folder with a base, data and a recipe."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture
def recipe(world, tmp_path) -> Recipe:
    """Return the recipe, with a run folder of its own."""
    return read_recipe(world / "recipe.yaml", [f"output_dir={tmp_path / 'run'}"])


@pytest.fixture(scope="session")
def finished(world) -> Path:
    """Return the folder of a finished run: CoLoRA on two tasks."""
    run_recipe(read_recipe(world / "recipe.yaml"))
    return world / "run"
