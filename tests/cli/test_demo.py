import json
import re

import pytest

from cotune.cli._demo import LEARNING_RATES, list_arms
from cotune.recipes import list_recipe_tasks, read_recipe
from cotune.recipes._arms import arm_recipe
from recipes.small_world import run


def test_every_arm_has_the_same_steps_rows_rank_and_rates(tmp_path) -> None:
    recipe = read_recipe("demo")
    arms = {
        arm.name: arm_recipe(recipe, arm, learning_rate=0.1, seed=0, folder=tmp_path)
        for arm in list_arms(recipe)
    }
    assert list(arms) == ["separate LoRAs", "one LoRA", "ALoRA", "CoLA", "CoLoRA"]
    assert len(LEARNING_RATES) >= 3
    tasks = len(list_recipe_tasks(recipe))
    joint = recipe.training.per_device_train_batch_size
    for name, arm in arms.items():
        own = arm.training.per_device_train_batch_size
        assert arm.training.max_steps == recipe.training.max_steps
        assert arm.adapter.build(["x"]).r == recipe.adapter.build(["x"]).r
        assert own * (tasks if name == "separate LoRAs" else 1) == joint


@pytest.mark.slow
def test_the_demo_runs_on_few_steps_and_shows_what_it_promises(tmp_path) -> None:
    out = tmp_path / "demo"
    words = ["demo", "--out", out, "-l", "0.003", "--set", "training.max_steps=2"]
    words += ["--set", "data.limits.test_rows=4", "--set", "data.limits.train_rows=16"]
    shown = run(*words)
    for task in ("gate", "stamp", "fee", "card", "shelf", "lot", "door", "chip"):
        assert re.search(rf"^ *{task} .*\d\.\d{{3}}", shown, flags=re.MULTILINE)
    assert "mean, sorting" in shown
    assert "inner: " in shown  # "Winner" or "No winner"
    assert f"Picture: {out / 'comparison.png'}" in shown
    assert f"Everything lies in {out}." in shown
    gap, effect = re.search(r"at most (\S+), where .* up to (\S+)\.", shown).groups()
    assert float(gap) <= 1e-4
    assert float(effect) >= 0.1
    assert (out / "comparison.png").is_file()
    assert (out / "gate-lora" / "adapter_model.safetensors").is_file()
    found = json.loads((out / "comparison.json").read_text())
    assert set(found["arms"]) == {arm.name for arm in list_arms(read_recipe("demo"))}
