"""The resolved recipe and the versions: what it takes to repeat the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import yaml

from .._blocks import Block, Listing, Section, Table
from .._run_folder import RECIPE, RunFolder


def build_recipe(runs: Sequence[RunFolder]) -> Section | None:
    """Show the recipes and the versions.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no folder has either.
    """
    blocks: list[Block] = []
    versions = {run.name: _versions(run) for run in runs if _versions(run)}
    if versions:
        names = dict.fromkeys(name for found in versions.values() for name in found)
        rows = [[n, *(found.get(n) for found in versions.values())] for n in names]
        blocks.append(Table("Versions", ["Package", *versions], rows))
    for run in runs:
        if run.recipe:
            text = yaml.safe_dump(_shorten(run.recipe), sort_keys=False)
            blocks.append(Listing(f"{run.name}/{RECIPE}", text))
    if not blocks:
        return None
    lead = (
        f"{RECIPE} in the run folder repeats the run. Here, absolute paths are cut to "
        "their last two parts, so that the page can be passed on."
    )
    return Section("Recipe and versions", lead, blocks)


def _versions(run: RunFolder) -> dict[str, str]:
    found: Mapping[str, Any] = (
        run.recipe.get("versions") or run.leaves[0].settings.get("versions") or {}
    )
    return {str(name): str(version) for name, version in found.items()}


def _shorten(value: Any) -> Any:
    """Cut absolute paths in a recipe: they name people and machines."""
    match value:
        case Mapping():
            return {key: _shorten(item) for key, item in value.items()}
        case list():
            return [_shorten(item) for item in value]
        case str():
            for kind in (PurePosixPath, PureWindowsPath):
                path = kind(value)
                if path.is_absolute() and len(path.parts) > 3:
                    return "/".join(("...", *path.parts[-2:]))
    return value
