import json
from pathlib import Path

import pytest

from cotune import ConfigError
from cotune.recipes import Arm, compare, open_run, read_recipe, run_recipe
from cotune.training import score_tasks

pytestmark = pytest.mark.slow

ARMS = (
    Arm("separate", ("separate=true", "adapter.method=lora")),
    Arm("together", ("adapter.method=lora",)),
)


@pytest.fixture(scope="module")
def compared(world, tmp_path_factory):
    """Return the folder of a finished comparison, and what it found."""
    folder = tmp_path_factory.mktemp("compared")
    recipe = read_recipe(world / "recipe.yaml", [f"output_dir={folder}"])
    lines: list[str] = []
    rates = (0.01, 0.02)
    found = compare(recipe, ARMS, learning_rates=rates, report=lines.append)
    return recipe, found, lines


def test_every_arm_runs_with_every_rate_and_only_the_chosen_see_test_rows(
    compared,
) -> None:
    _, found, lines = compared
    assert [(cell.arm, cell.learning_rate) for cell in found.cells] == [
        (arm, rate) for arm in ("separate", "together") for rate in (0.01, 0.02)
    ]
    for arm in found.arms():
        best = found.chosen(arm, 0)
        tested = [cell for cell in found.cells if cell.arm == arm and cell.rows]
        assert tested == [best]
        assert best.scores.keys() == {"left", "right"}
        assert {len(rows) for rows in best.rows.values()} == {6}
    assert len(lines) == 4
    assert found.chosen("separate", 0).parameters == 2 * found.cells[-1].parameters


def test_scores_are_those_of_the_run_opened_again(compared) -> None:
    _, found, _ = compared
    best = found.chosen("together", 0)
    opened = open_run(best.folder)
    parts = {task.name: "test" for task in opened.tasks}
    scores = score_tasks(opened.model, opened.base, opened.tasks, parts)
    assert best.scores == pytest.approx(scores, abs=1e-12)
    with opened.model.disable_adapter():
        base = score_tasks(opened.model, opened.base, opened.tasks, parts)
    assert found.base_means() == pytest.approx(base, abs=1e-12)


def test_an_arm_is_the_run_that_its_recipe_gives_alone(compared, tmp_path) -> None:
    _, found, _ = compared
    folder = Path(found.cells[-1].folder)
    run_recipe(read_recipe(folder, [f"output_dir={tmp_path / 'alone'}"]))
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / "alone" / name).read_bytes() == (folder / name).read_bytes()


def test_finished_runs_are_read_and_not_run_again(compared, monkeypatch) -> None:
    recipe, found, _ = compared
    monkeypatch.setattr("cotune.recipes._cells.run_recipe", None)
    again = compare(recipe, ARMS, learning_rates=(0.02, 0.01))
    assert again == found
    saved = json.loads((found.folder / "comparison.json").read_text())
    assert saved["base"] == found.base_means()


def test_what_training_prints_goes_into_the_run_folder(compared, capsys) -> None:
    _, found, _ = compared
    assert "train_runtime" in (Path(found.cells[-1].folder) / "train.log").read_text()


def test_all_arms_are_checked_before_one_is_trained(world, tmp_path) -> None:
    recipe = read_recipe(world / "recipe.yaml", [f"output_dir={tmp_path}"])
    arms = [ARMS[1], Arm("wrong", ("adapter.r=0",))]
    with pytest.raises(ConfigError, match="arm 'wrong': a fault"):
        compare(recipe, arms, learning_rates=(0.01,))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("empty", [{"learning_rates": ()}, {"seeds": ()}])
def test_an_empty_grid_is_refused(recipe, empty) -> None:
    with pytest.raises(ConfigError, match="there must be a learning rate, a seed"):
        compare(recipe, ARMS, **{"learning_rates": (0.1,), **empty})


def test_metrics_that_point_different_ways_are_refused(world, tmp_path) -> None:
    tasks = [
        {"name": "one", "source": "left", "kind": "choice"},
        {"name": "two", "source": "right", "kind": "choice", "metric": "loss"},
    ]
    changes = ["data.folders=[]", f"data.tasks={json.dumps(tasks)}"]
    recipe = read_recipe(world / "recipe.yaml", [*changes, f"output_dir={tmp_path}"])
    with pytest.raises(ConfigError, match="all metrics must point the same way"):
        compare(recipe, ARMS, learning_rates=(0.1,))


def test_where_low_is_good_the_lower_loss_is_chosen(world, tmp_path) -> None:
    tasks = [{"name": "one", "source": "left", "kind": "choice", "metric": "loss"}]
    changes = ["data.folders=[]", f"data.tasks={json.dumps(tasks)}"]
    recipe = read_recipe(world / "recipe.yaml", [*changes, f"output_dir={tmp_path}"])
    found = compare(recipe, ARMS[1:], learning_rates=(0.001, 0.1), seeds=(0, 1))
    assert not found.higher_is_better
    for seed in found.seeds():
        cells = [cell for cell in found.cells if cell.seed == seed]
        best = min(cells, key=lambda cell: cell.validation)
        assert found.chosen("together", seed) == best
    assert len(found.means("together")) == 2
