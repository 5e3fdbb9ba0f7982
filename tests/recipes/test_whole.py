from pathlib import Path

from cotune.recipes import check_recipe, list_recipe_tasks, read_recipe
from cotune.recipes._whole import resolve_recipe, single_out, with_whole_paths
from recipes.small_world import recipe_values


def test_paths_become_whole_and_names_stay(world, monkeypatch) -> None:
    monkeypatch.chdir(world)
    values = recipe_values(Path())
    assert values["base"]["name"] == "base"
    recipe = with_whole_paths(check_recipe(values))
    assert recipe.base.name == str(world / "base")
    assert recipe.data.root == str(world / "data")
    assert recipe.output_dir == str(world / "run")


def test_names_on_the_hub_and_generated_data_are_no_paths(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "embedded").mkdir()
    recipe = with_whole_paths(read_recipe("lora"))
    assert (recipe.base.name, recipe.data.root) == ("embedded", "embedded")
    recipe = with_whole_paths(read_recipe("papers/cola"))
    assert recipe.base.name == "meta-llama/Llama-3.1-8B"
    assert recipe.data.root is None


def test_data_without_a_root_starts_at_the_current_folder(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = check_recipe({"data": {"folders": ["rows"]}})
    assert with_whole_paths(recipe).data.root == str(tmp_path)


def test_a_resolved_recipe_names_tasks_fields_and_versions(recipe) -> None:
    resolved = resolve_recipe(recipe, ["left", "right"])
    assert resolved.adapter.tasks == ["left", "right"]
    assert resolved.adapter.model_dump()["start"] == "colora"
    assert set(resolved.versions) >= {"cotune", "torch", "peft", "transformers"}


def test_one_task_is_singled_out_of_a_separate_training(recipe) -> None:
    values = {**recipe.model_dump(mode="json"), "separate": True}
    values["adapter"]["tasks"] = ["left", "right"]
    apart = check_recipe(values)
    (left, _) = list_recipe_tasks(apart)
    single = single_out(apart, left)
    assert not single.separate
    assert [task.name for task in list_recipe_tasks(single)] == ["left"]
    assert single.adapter.build(["left"]).tasks == ["left"]
    assert Path(single.output_dir) == Path(apart.output_dir) / "left"
