"""From the training section to TrainingArguments."""

from dataclasses import fields

import pytest

from cotune import _errors
from cotune.training import TrainingSpec, build_arguments
from cotune.training._arguments import FIXED, build_callbacks

CHANGED = {
    "learning_rate": 0.5,
    "num_train_epochs": 7.0,
    "max_steps": 11,
    "per_device_train_batch_size": 3,
    "gradient_accumulation_steps": 5,
    "warmup_steps": 0.25,
    "lr_scheduler_type": "linear",
    "optim": "sgd",
    "weight_decay": 0.125,
    "adam_beta1": 0.75,
    "adam_beta2": 0.5,
    "max_grad_norm": 0.5,
    "seed": 13,
    "logging_steps": 17,
    "eval_steps": 4,
    "save_strategy": "steps",
    "save_steps": 8,
    "save_total_limit": 9,
    "run_name": "name",
    "dataloader_num_workers": 2,
    "ddp_find_unused_parameters": True,
    "disable_tqdm": True,
    "use_cpu": True,
}


def build(tmp_path, **settings):
    return build_arguments(TrainingSpec(use_cpu=True, **settings), tmp_path)


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_reaches_the_argument_of_its_name(tmp_path, name):
    found = getattr(build_arguments(TrainingSpec(**CHANGED), tmp_path), name)
    assert getattr(found, "value", found) == CHANGED[name]


def test_what_cotune_needs_is_set(tmp_path):
    found = build(tmp_path)
    assert found.output_dir == str(tmp_path)
    assert not found.remove_unused_columns
    assert found.report_to == []
    assert found.eval_strategy.value == "no"
    assert found.restore_callback_states_from_checkpoint


def test_gradient_checkpointing_goes_by_the_name_that_transformers_has(tmp_path):
    assert build(tmp_path, gradient_checkpointing=True).gradient_checkpointing
    assert not build(tmp_path).gradient_checkpointing


def test_other_arguments_are_passed_on(tmp_path):
    found = build(tmp_path, arguments={"adam_epsilon": 0.5})
    assert found.adam_epsilon == 0.5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("learning_rate", "Set training.learning_rate"),
        ("output_dir", "cannot be set"),
        ("adam_epsilo", "Did you mean adam_epsilon"),
    ],
)
def test_other_arguments_must_be_others(tmp_path, name, message):
    with pytest.raises(_errors.ConfigError, match=message):
        build(tmp_path, arguments={name: 1})


def test_arguments_that_are_fixed_exist():
    from transformers import TrainingArguments

    known = {field.name for field in fields(TrainingArguments)}
    # The order of rows has changed its name in transformers 5; both are refused.
    missing = set(FIXED) - known
    assert missing in ({"train_sampling_strategy"}, {"group_by_length"})


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        (None, False),
        ("loss", False),
        ("mean_accuracy", True),
        ("worst_loss", False),
        ("my_task_rougeL", True),
    ],
)
def test_the_best_model_goes_in_the_direction_of_its_metric(tmp_path, metric, higher):
    found = build(
        tmp_path,
        eval_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model=metric,
    )
    assert found.metric_for_best_model == (metric or "loss")
    assert found.greater_is_better is higher


def test_an_unknown_metric_for_the_best_model_is_refused(tmp_path):
    with pytest.raises(_errors.ConfigError, match=r"got 'mean_acuracy'\. Metrics: acc"):
        build(
            tmp_path,
            eval_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="mean_acuracy",
        )


def test_callbacks_are_made_as_asked_for(tmp_path):
    assert build_callbacks(TrainingSpec(), tmp_path) == []
    spec = TrainingSpec(
        eval_strategy="epoch",
        early_stopping_patience=3,
        early_stopping_threshold=0.5,
        report_to="tensorboard",
    )
    stop, board = build_callbacks(spec, tmp_path)
    assert (stop.early_stopping_patience, stop.early_stopping_threshold) == (3, 0.5)
    assert board.logging_dir == str(tmp_path)
    # Else there would be two writers.
    assert build_arguments(spec, tmp_path).report_to == []
