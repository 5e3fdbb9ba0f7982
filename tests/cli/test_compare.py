import json
import re

import pytest

from recipes.small_world import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown(world, tmp_path_factory):
    """Return what a comparison printed, and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    words = ["compare", world / "recipe.yaml", "--set", f"output_dir={folder}"]
    words += ["--method", "separate", "-m", "colora"]
    words += ["--arm", "wide LoRA: adapter.method=lora adapter.r=4"]
    words += ["-l", "0.01", "--learning-rate", "0.03"]
    return run(*words), folder, words


def test_the_table_has_a_column_per_arm_and_a_line_per_task(shown) -> None:
    text, folder, _ = shown
    found = json.loads((folder / "comparison.json").read_text())
    assert list(found["arms"]) == ["separate LoRAs", "CoLoRA", "wide LoRA"]
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    for name in ("left", "right", "mean", "worst task"):
        assert len(re.findall(r"\d\.\d{3}", rows[name])) == 4
    means = re.findall(r"\d\.\d{3}", rows["mean"])[1:]
    ours = [f"{arm['mean']:.3f}" for arm in found["arms"].values()]
    assert means == ours
    assert "learning rate" in rows
    assert "parameters" in rows


def test_a_winner_is_named_or_the_want_of_one(shown) -> None:
    text, folder, _ = shown
    found = json.loads((folder / "comparison.json").read_text())
    best = found["ranking"][0]
    if found["not_told_from_the_best"]:
        assert f"No winner: {best}" in text
    else:
        assert f"Winner: {best}, " in text
    assert "One seed: the luck of training is not in the interval." in text


def test_a_picture_is_drawn(shown) -> None:
    text, folder, _ = shown
    assert f"Everything lies in {folder}\n" in text
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_call_runs_nothing_and_shows_the_same(shown, monkeypatch) -> None:
    text, _, words = shown
    monkeypatch.setattr("cotune.recipes._cells.run_recipe", None)
    assert run(*words) == text
