import json

import pytest
from benchmarks.evidence import cells


def test_a_digest_says_what_is_run_and_not_where(small_bench) -> None:
    recipe = small_bench.recipe("world")
    moved = recipe.model_copy(update={"output_dir": "elsewhere", "description": "x"})
    assert cells.digest(moved) == cells.digest(recipe)
    data = recipe.data.model_copy(update={"root": "elsewhere"})
    assert cells.digest(recipe.model_copy(update={"data": data})) == cells.digest(
        recipe
    )
    other = small_bench.recipe("world", "training.learning_rate=0.5")
    assert cells.digest(other) != cells.digest(recipe)


@pytest.mark.slow
def test_a_cell_is_trained_and_scored_once(small_bench, tmp_path, monkeypatch) -> None:
    recipe = cells.place(small_bench.recipe("world"), tmp_path / "cache")
    first, rows = cells.train(recipe), cells.score(recipe)
    assert set(rows) == {"left", "right"} and len(rows["left"]) == 6
    assert first.parameters > 0 and 0 <= first.validation <= 1
    monkeypatch.delattr(cells, "run_recipe")
    monkeypatch.delattr(cells, "open_trained")
    assert cells.train(recipe) == first
    assert cells.score(recipe) == rows


@pytest.mark.slow
def test_without_validation_rows_a_cell_has_no_validation(
    small_bench, tmp_path
) -> None:
    recipe = small_bench.recipe("world", "data.validation_share=0")
    recipe = cells.place(recipe, tmp_path / "cache")
    assert cells.train(recipe).validation is None


@pytest.mark.slow
def test_separate_adapters_are_scored_on_their_own_task(small_bench, tmp_path) -> None:
    recipe = cells.place(small_bench.recipe("world", "separate=true"), tmp_path / "c")
    cells.train(recipe)
    rows = cells.score(recipe)
    assert set(rows) == {"left", "right"}
    written = json.loads((tmp_path / "c").rglob("test.json").__next__().read_text())
    assert written == rows
