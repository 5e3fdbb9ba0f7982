"""What a run was started with, and what may change when it is resumed."""

import json

import pytest

from cotune import ALoRAConfig
from cotune._errors import ConfigError
from cotune.data import EncodeSpec, MixtureSpec
from cotune.training import BaseSpec, EvaluationSpec, TrainingSpec
from cotune.training._settings import FILE, Plan, claim_folder


@pytest.fixture
def plan(tasks):
    """Return a function that makes a plan; fields of the training section go in."""

    def make(*, r=4, mixture="proportional", some=tasks, **training):
        return Plan(
            base=BaseSpec(),
            tasks=some,
            adapter=ALoRAConfig(r=r, target_modules=["v_proj", "q_proj"]),
            training=TrainingSpec(**training),
            mixture=MixtureSpec(name=mixture),
            encode=EncodeSpec(),
            evaluation=EvaluationSpec(),
        )

    return make


def test_settings_and_versions_are_written(tmp_path, plan):
    claim_folder(tmp_path, plan(), resume=False)
    found = json.loads((tmp_path / FILE).read_text())
    assert found["adapter"]["target_modules"] == ["q_proj", "v_proj"]
    assert found["tasks"]["plain"]["rows"] == 24
    assert found["versions"].keys() >= {"cotune", "torch", "peft"}
    assert TrainingSpec(**found["training"]) == TrainingSpec()


def test_a_folder_in_use_is_refused(tmp_path, plan):
    claim_folder(tmp_path, plan(), resume=False)
    with pytest.raises(ConfigError, match=r"must be new or empty, got .*holds a run"):
        claim_folder(tmp_path, plan(), resume=False)


def test_a_folder_with_checkpoints_alone_is_in_use(tmp_path, plan):
    (tmp_path / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    with pytest.raises(ConfigError, match="must be new or empty"):
        claim_folder(tmp_path, plan(), resume=False)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_a_recipe_of_something_else_is_refused(tmp_path, plan, resume):
    (tmp_path / "recipe.yaml").write_text("# by hand")
    with pytest.raises(ConfigError, match=r"holds another recipe\.yaml"):
        claim_folder(tmp_path, plan(), resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_the_same_settings_can_be_resumed_and_harmless_ones_changed(tmp_path, plan):
    claim_folder(tmp_path, plan(), resume=True)
    claim_folder(tmp_path, plan(), resume=True)
    claim_folder(tmp_path, plan(logging_steps=3, report_to="wandb"), resume=True)
    found = json.loads((tmp_path / FILE).read_text())
    assert found["training"]["logging_steps"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 8}, r"adapter\.r \(was 4, is 8\)"),
        ({"seed": 1}, r"training\.seed \(was 0, is 1\)"),
        ({"mixture": "uniform"}, r"mixture\.name \(was 'proportional', is 'uniform'\)"),
    ],
)
def test_settings_that_change_the_result_cannot_change(tmp_path, plan, change, message):
    claim_folder(tmp_path, plan(), resume=False)
    before = (tmp_path / FILE).read_text()
    with pytest.raises(ConfigError, match=message):
        claim_folder(tmp_path, plan(**change), resume=True)
    assert (tmp_path / FILE).read_text() == before


def test_other_tasks_cannot_be_resumed_with(tmp_path, plan, tasks):
    claim_folder(tmp_path, plan(), resume=False)
    with pytest.raises(ConfigError, match=r"tasks\.flipped"):
        claim_folder(tmp_path, plan(some=tasks[:1]), resume=True)


def test_settings_that_are_no_json_are_named(tmp_path, plan):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ConfigError, match=r"settings\.json must be the JSON"):
        claim_folder(tmp_path, plan(), resume=True)
