"""Write the resolved recipe into the run folder as soon as training begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from transformers import TrainerCallback

from .._files import write_text
from ._recipe import Recipe

FILE = "recipe.yaml"


class RecipeWriter(TrainerCallback):
    """Writes a recipe when training begins.

    Not earlier, since a folder in use is only refused then; not later, so that a run
    that is killed leaves behind what it takes to resume it.

    Args:
        recipe: The resolved recipe.
        folder: The run folder.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder

    def on_train_begin(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Write the file, on the main process."""
        if state.is_world_process_zero:
            write_recipe(self.recipe, self.folder)


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write a recipe as YAML, in one move.

    Args:
        recipe: The resolved recipe.
        folder: The run folder.
    """
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    write_text(folder / FILE, text)
