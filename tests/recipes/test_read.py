import pytest

from cotune import ConfigError
from cotune.recipes import check_recipe, list_recipes, read_recipe
from cotune.recipes._read import find_recipe

DATA = {"root": "embedded", "folders": ["."]}


def test_a_recipe_is_found_as_file_as_run_folder_and_by_name(world, finished) -> None:
    assert find_recipe(world / "recipe.yaml") == world / "recipe.yaml"
    assert find_recipe(finished) == finished / "recipe.yaml"
    assert find_recipe("papers/cola") == list_recipes()["papers/cola"]


def test_a_recipe_is_frozen() -> None:
    recipe = check_recipe({"data": DATA})
    with pytest.raises(ValueError, match="frozen"):
        recipe.separate = True


def test_what_is_written_of_a_recipe_reads_as_the_same_recipe() -> None:
    recipe = read_recipe("mtl", ["schedule.p0=0.1", "adapter.rank_pattern={q_proj: 2}"])
    assert check_recipe(recipe.model_dump(mode="json")) == recipe


def test_faults_of_several_sections_come_in_one_message() -> None:
    values = {
        "data": DATA,
        "adapter": {"r": 0, "start": "pisa"},
        "training": {"bf16": True, "fp16": True, "max_steps": 0},
        "schedule": {"p0": 2},
        "outputs": "x",
    }
    with pytest.raises(ConfigError) as error:
        check_recipe(values, "mine")
    lines = str(error.value).splitlines()
    assert lines[0] == "mine: 5 faults:"
    assert [line.split(":")[0].strip(" -") for line in lines[1:]] == [
        "adapter.start",
        "adapter.r",
        "schedule.p0",
        "training",
        "outputs",
    ]


def test_a_long_value_is_shown_short() -> None:
    with pytest.raises(ConfigError) as error:
        check_recipe({"data": DATA, "training": {"seed": "x" * 1000}})
    assert len(str(error.value)) < 200
