from recipes.small_world import recipe_values, run, write_recipe, write_rows


def test_a_good_recipe_and_its_rows_are_told(world) -> None:
    shown = run("check", world / "recipe.yaml")
    assert "left: choice, 12 train, 4 validation, 6 test" in shown
    assert "the recipe and its 2 tasks are fine." in shown


def test_rows_can_be_left_unread(world, tmp_path) -> None:
    values = recipe_values(world)
    values["data"]["root"] = str(tmp_path / "not there yet")
    path = write_recipe(tmp_path / "recipe.yaml", values)
    assert "Rows were not read." in run("check", path, "--no-data")


def test_bad_rows_that_are_left_out_are_counted(world, tmp_path) -> None:
    good = {"prompt": "a", "options": ["no", "yes"], "answer": "no"}
    write_rows(tmp_path / "one" / "train.jsonl", [good, "{", good])
    values = recipe_values(world)
    values["data"] = {"root": str(tmp_path), "folders": ["."], "on_bad_row": "skip"}
    path = write_recipe(tmp_path / "recipe.yaml", values)
    assert "one: choice, 2 train, 1 bad rows left out" in run("check", path)
