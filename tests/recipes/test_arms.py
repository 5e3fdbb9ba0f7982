from pathlib import Path

import pytest

from cotune.recipes import arm_of_method, list_methods, parse_arm, read_recipe
from cotune.recipes._arms import arm_recipe, slug

SETTINGS = {"learning_rate": 0.1, "seed": 3, "folder": Path("there")}


@pytest.mark.parametrize("method", list_methods())
def test_the_arm_of_a_method_is_the_method_as_the_table_has_it(method) -> None:
    recipe = read_recipe("cola", ["adapter.num_A=4", "adapter.r=2"])
    arm = arm_recipe(recipe, arm_of_method(method, recipe), **SETTINGS)
    assert arm.separate == (method == "separate")
    assert arm.adapter.method == ("lora" if method == "separate" else method)
    # Its own method keeps what the recipe says; for the others that means nothing.
    values = arm.adapter.model_dump()
    assert values["num_A"] == (4 if method == "cola" else None)
    assert values["r"] == 2


def test_an_arm_is_trained_like_all_others_but_for_its_changes() -> None:
    recipe = read_recipe("lora")
    arm = parse_arm("wide: adapter.r=16 adapter.target_modules='[q_proj, v_proj]'")
    changed = arm_recipe(recipe, arm, **SETTINGS)
    assert changed.adapter.model_dump()["r"] == 16
    assert changed.adapter.target_modules == ["q_proj", "v_proj"]
    assert changed.training.learning_rate == 0.1
    assert changed.training.seed == 3
    assert changed.output_dir == "there"
    kept = {"learning_rate", "seed", "disable_tqdm"}
    assert changed.training.model_dump(exclude=kept) == recipe.training.model_dump(
        exclude=kept
    )
    assert changed.data == recipe.data


def test_an_arm_cannot_change_what_the_comparison_sets() -> None:
    arm = parse_arm("fast: training.learning_rate=1 output_dir=elsewhere")
    changed = arm_recipe(read_recipe("lora"), arm, **SETTINGS)
    assert (changed.training.learning_rate, changed.output_dir) == (0.1, "there")


@pytest.mark.parametrize(
    ("name", "folder"), [("CoLA (2, 3)", "cola--2--3-"), ("a/b", "a-b"), ("Ä", "ä")]
)
def test_the_name_of_an_arm_makes_a_folder_name(name, folder) -> None:
    assert slug(name) == folder
