import pytest

from cotune.recipes import list_recipe_tasks, load_recipe_tasks, read_recipe
from cotune.recipes._tasks import GENERATED


@pytest.mark.slow
def test_generated_tasks_are_the_same_every_time_and_leave_nothing(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recipe = read_recipe("lora", ["data.folders=[{path: ., include: [gate, chip]}]"])
    first, again = load_recipe_tasks(recipe), load_recipe_tasks(recipe)
    assert [task.name for task in first] == ["chip", "gate"]
    for one, other in zip(first, again, strict=True):
        assert one.train["prompt"] == other.train["prompt"]
        assert one.test is not None
        assert one.validation is not None
        assert not set(one.train["prompt"]) & set(one.test["prompt"])
    assert not list(tmp_path.iterdir())


def test_the_seed_decides_which_rows_are_cut_for_validation() -> None:
    changes = ["data.folders=[{path: ., include: [gate]}]"]
    rows = [
        load_recipe_tasks(read_recipe("lora", [*changes, f"training.seed={seed}"]))[0]
        for seed in (0, 1)
    ]
    assert rows[0].validation["prompt"] != rows[1].validation["prompt"]
    assert rows[0].test["prompt"] == rows[1].test["prompt"]


def test_a_folder_named_like_generated_data_can_still_be_used(
    world, monkeypatch
) -> None:
    monkeypatch.chdir(world)
    (world / "embedded").symlink_to(world / "data")
    recipe = read_recipe("recipe.yaml", ["data.root=./embedded"])
    assert "./embedded" not in GENERATED
    assert [task.name for task in list_recipe_tasks(recipe)] == ["left", "right"]
