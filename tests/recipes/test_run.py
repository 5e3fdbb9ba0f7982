import json
from pathlib import Path

import pytest
import torch

from cotune import ConfigError, read_adapter
from cotune.recipes import (
    OpenedRun,
    arm_of_method,
    check_recipe,
    count_trained,
    load_recipe_tasks,
    open_base,
    open_run,
    open_trained,
    read_recipe,
    read_run_recipe,
    run_recipe,
)
from cotune.recipes._run import SeparateResult, time_training
from cotune.training import TrainingResult
from helpers import run_python

WEIGHTS = "adapter/adapter_model.safetensors"


@pytest.mark.slow
def test_the_resolved_recipe_alone_repeats_the_run_bit_by_bit(
    world, finished, tmp_path, monkeypatch
) -> None:
    # Moved to another folder of work, with nothing but the file.
    alone = tmp_path / "alone.yaml"
    alone.write_bytes((finished / "recipe.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    run_recipe(read_recipe("alone.yaml", ["output_dir=again"]))
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (
        finished / WEIGHTS
    ).read_bytes()
    scores = [Path(folder) / "metrics.json" for folder in (finished, "again")]
    assert scores[0].read_bytes() == scores[1].read_bytes()


@pytest.mark.slow
def test_another_seed_gives_another_adapter(world, finished, tmp_path) -> None:
    recipe = read_recipe(finished, ["training.seed=1", f"output_dir={tmp_path / 'b'}"])
    run_recipe(recipe)
    assert (tmp_path / "b" / WEIGHTS).read_bytes() != (finished / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_separate_training_leaves_a_run_per_task_that_can_be_opened(recipe) -> None:
    recipe = recipe.model_copy(update={"separate": True})
    result = run_recipe(recipe)
    assert isinstance(result, SeparateResult)
    assert [score.task for score in result.evaluation.tasks] == ["left", "right"]
    assert result.seconds > 0
    opened = [open_run(folder) for folder in result.folders.values()]
    assert [run.names for run in opened] == [("left",), ("right",)]
    assert [[task.name for task in run.tasks] for run in opened] == [
        ["left"],
        ["right"],
    ]
    adapters = [read_adapter(folder / "adapter") for folder in result.folders.values()]
    assert result.parameters == sum(adapter.parameters() for adapter in adapters)
    assert json.loads((result.folder / "metrics.json").read_text())["tasks"].keys() == {
        "left",
        "right",
    }
    assert read_recipe(result.folder).separate


@pytest.mark.slow
def test_a_task_trained_apart_repeats_from_its_own_recipe(recipe, tmp_path) -> None:
    result = run_recipe(recipe.model_copy(update={"separate": True}))
    again = read_run_recipe(
        result.folder / "left", [f"output_dir={tmp_path / 'again'}"]
    )
    run_recipe(again)
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (
        result.folder / "left" / WEIGHTS
    ).read_bytes()


@pytest.mark.slow
def test_tasks_at_hand_are_not_read_again(recipe, monkeypatch) -> None:
    tasks = load_recipe_tasks(recipe)
    monkeypatch.setattr("cotune.recipes._run.load_recipe_tasks", None)
    result = run_recipe(recipe, tasks=tasks)
    assert time_training(result) > 0
    assert [score.task for score in result.evaluation.tasks] == ["left", "right"]


@pytest.mark.slow
def test_a_schedule_runs_and_leaves_its_record(recipe) -> None:
    values = {**recipe.model_dump(mode="json"), "schedule": {"p0": 0.1}}
    result = run_recipe(check_recipe(values))
    assert (result.folder / "schedule.json").is_file()
    assert read_recipe(result.folder).schedule is not None


KILLED = """
import os, signal, sys
from transformers import TrainerCallback
import cotune.recipes._record as record

class Killer(record.RecipeWriter):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

record.RecipeWriter = Killer
from cotune.recipes import read_recipe, run_recipe
run_recipe(read_recipe(sys.argv[1], sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_from_the_recipe_that_it_left(world, tmp_path) -> None:
    steps = [
        "training.max_steps=6",
        "training.save_strategy=steps",
        "training.save_steps=2",
    ]
    with pytest.raises(AssertionError):
        run_python(
            KILLED, str(world / "recipe.yaml"), *steps, f"output_dir={tmp_path}/a"
        )
    assert not (tmp_path / "a" / "adapter").exists()
    run_recipe(read_recipe(tmp_path / "a"), resume=True)
    run_recipe(read_recipe(world / "recipe.yaml", [*steps, f"output_dir={tmp_path}/b"]))
    whole = (tmp_path / "b" / WEIGHTS).read_bytes()
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == whole


@pytest.mark.slow
def test_without_an_adapter_the_whole_model_is_trained_and_opened_again(
    world, recipe
) -> None:
    values = {**recipe.model_dump(mode="json"), "adapter": None}
    result = run_recipe(check_recipe(values))
    assert isinstance(result, TrainingResult)
    assert count_trained(result) == sum(p.numel() for p in result.model.parameters())
    assert read_recipe(result.folder).adapter is None
    opened = open_trained(result.folder, load_recipe_tasks(recipe))
    before = dict(open_base(recipe, ()).model.named_parameters())
    after = dict(opened.model.named_parameters())
    trained = dict(result.model.named_parameters())
    assert all(torch.equal(after[name], trained[name]) for name in after)
    assert not all(torch.equal(after[name], before[name]) for name in after)
    with pytest.raises(ConfigError, match="trained the whole model"):
        open_run(result.folder)


def test_a_run_with_an_adapter_is_opened_with_it(finished, recipe) -> None:
    tasks = load_recipe_tasks(recipe)
    assert isinstance(open_trained(finished, tasks), OpenedRun)


@pytest.mark.slow
def test_whole_models_can_be_trained_task_by_task(recipe) -> None:
    values = {**recipe.model_dump(mode="json"), "adapter": None, "separate": True}
    result = run_recipe(check_recipe(values))
    assert isinstance(result, SeparateResult)
    assert all((folder / "model").is_dir() for folder in result.folders.values())


@pytest.mark.parametrize(
    ("section", "value"),
    [("schedule", {"name": "coto"}), ("federated", {"aggregation": "fedit"})],
)
def test_what_acts_on_adapters_is_refused_without_one(recipe, section, value) -> None:
    values = {**recipe.model_dump(mode="json"), "adapter": None, section: value}
    with pytest.raises(ConfigError, match=f"{section}: acts on adapters"):
        check_recipe(values)


def test_what_needs_an_adapter_says_so(recipe) -> None:
    whole = recipe.model_copy(update={"adapter": None})
    with pytest.raises(ConfigError, match="adapter: must be a section with keys"):
        arm_of_method("lora", whole)
    assert recipe.need_adapter() is recipe.adapter
