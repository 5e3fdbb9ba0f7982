"""The benchmarks lie beside the package; they are imported from the root."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    """Return the folder of a tiny model, two tasks, a setting, and a cache."""
    import yaml

    from recipes.small_world import recipe_values, write_world

    folder = tmp_path_factory.mktemp("evidence")
    write_world(folder)
    values = recipe_values(folder)
    values["adapter"]["method"] = "lora"
    del values["data"]["root"]
    path = folder / "settings" / "small" / "world.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture
def small_bench(small_world, monkeypatch):
    """Return a bench on it, with two seeds and two rates; its runs are kept."""
    from benchmarks.evidence import bench

    monkeypatch.setattr(bench, "SETTINGS", small_world / "settings")
    monkeypatch.setenv("COTUNE_DATA", str(small_world / "data"))
    profile = bench.Profile("small", (0, 1), (0.01, 0.1), 4)
    return bench.Bench(profile, small_world / "cache", report=lambda text: None)
