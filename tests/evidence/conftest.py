"""The benchmarks lie beside the package; they are imported from the root."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def small_bench(tmp_path, monkeypatch):
    """Return a bench on a tiny model with two tasks, two seeds and two rates."""
    import yaml
    from benchmarks.evidence import bench

    from recipes.small_world import recipe_values, write_world

    write_world(tmp_path)
    values = recipe_values(tmp_path)
    values["adapter"]["method"] = "lora"
    del values["data"]["root"]
    path = tmp_path / "settings" / "small" / "world.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setattr(bench, "SETTINGS", tmp_path / "settings")
    monkeypatch.setenv("COTUNE_DATA", str(tmp_path / "data"))
    profile = bench.Profile("small", (0, 1), (0.01, 0.1), 4)
    told: list[str] = []
    found = bench.Bench(profile, tmp_path / "cache", report=told.append)
    found.options = {"told": told}
    return found
