import pytest
import torch

from cotune import ConfigError
from cotune.recipes import open_base, open_run, read_recipe, run_recipe
from cotune.training import evaluate


@pytest.mark.slow
def test_an_opened_run_scores_as_it_did(recipe) -> None:
    result = run_recipe(recipe)
    opened = open_run(result.folder)
    assert evaluate(opened.model, opened.tasks, opened.base) == result.evaluation
    assert opened.names == ("left", "right")


def test_rows_are_read_only_if_they_are_asked_for(finished, tmp_path) -> None:
    elsewhere = [f"data.root={tmp_path}"]
    assert open_run(finished, elsewhere, with_data=False).tasks == ()
    with pytest.raises(ConfigError, match="must hold a task"):
        open_run(finished, elsewhere)


def test_a_task_is_chosen_where_one_is_needed(finished) -> None:
    opened = open_run(finished, with_data=False)
    assert opened.choose_task("right") == "right"
    with pytest.raises(ConfigError, match="Unknown task 'rigth'"):
        opened.choose_task("rigth")
    with pytest.raises(ConfigError, match="with one of left, right"):
        opened.choose_task(None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "chosen"),
    [("adapter.method=lora", None), ("adapter.default_task=right", "right")],
)
def test_no_task_is_needed_with_a_default_or_without_parts(
    world, tmp_path, change, chosen
) -> None:
    run_recipe(read_recipe(world / "recipe.yaml", [change, f"output_dir={tmp_path}/r"]))
    assert open_run(tmp_path / "r", with_data=False).choose_task(None) == chosen


def test_the_base_alone_is_the_model_as_it_was_saved(world, recipe) -> None:
    from transformers import AutoModelForCausalLM

    opened = open_base(recipe, ())
    plain = AutoModelForCausalLM.from_pretrained(world / "base")
    ids = torch.arange(6)[None]
    with torch.no_grad():
        assert torch.equal(opened.model(ids).logits, plain(ids).logits)
