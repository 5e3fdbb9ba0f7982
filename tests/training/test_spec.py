"""The training section: names as in transformers, faults together."""

from dataclasses import fields

import pytest
from pydantic import ValidationError
from transformers import SchedulerType, TrainingArguments

from cotune.training import EvaluationSpec, TrainingSpec
from cotune.training._arguments import OWN


def test_every_field_but_our_own_is_a_training_argument():
    known = {field.name for field in fields(TrainingArguments)}
    assert set(TrainingSpec.model_fields) - set(OWN) <= known
    assert not set(OWN) & known


def test_every_schedule_is_one_of_transformers():
    from cotune.training._spec import _SCHEDULES

    assert set(_SCHEDULES) <= {schedule.value for schedule in SchedulerType}


def test_every_field_says_what_it_means():
    for spec in (TrainingSpec, EvaluationSpec):
        for name, field in spec.model_fields.items():
            assert field.description, name


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="learning_rat"):
        TrainingSpec(learning_rat=1e-3)


def test_a_section_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        TrainingSpec().learning_rate = 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": 0}, "max_steps must be -1 or at least 1, got 0"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"bf16": True, "fp16": True}, "exclude each other"),
        ({"lr_scheduler_type": "cosin"}, "Did you mean cosine"),
        ({"factor_lr_ratio": {"C": 2.0}}, "'A', 'B', 'core', 'router' or 'weight'"),
        ({"factor_lr_ratio": {"A": 0.0}}, "ratio of A must be > 0, got 0.0"),
        (
            {"factor_lr_ratio": {"B": 2.0}, "loraplus_lr_ratio": 16.0},
            "say the same",
        ),
        ({"eval_strategy": "steps"}, "needs eval_steps"),
        ({"eval_strategy": "epoch", "eval_steps": 5}, "goes with eval_strategy: steps"),
        ({"save_strategy": "steps"}, "needs save_steps"),
        ({"save_steps": 5}, "save_steps goes with"),
        ({"metric_for_best_model": "loss"}, "goes with load_best_model_at_end"),
        ({"early_stopping_patience": 2}, "at the same times"),
        (
            {
                "load_best_model_at_end": True,
                "eval_steps": 4,
                "save_strategy": "steps",
                "save_steps": 6,
            },
            "multiple of eval_steps, got 6 and 4",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TrainingSpec(**settings)


def test_all_faults_are_reported_together():
    with pytest.raises(ValidationError) as caught:
        TrainingSpec(bf16=True, fp16=True, max_steps=0, save_steps=3)
    assert all(
        word in str(caught.value) for word in ("exclude", "max_steps", "save_steps")
    )


def test_lora_plus_is_the_ratio_of_b():
    assert TrainingSpec(loraplus_lr_ratio=16).lr_ratios == {"B": 16.0}
    spec = TrainingSpec(loraplus_lr_ratio=16, factor_lr_ratio={"router": 0.1})
    assert spec.lr_ratios == {"B": 16.0, "router": 0.1}


def test_report_to_takes_one_name_or_none():
    assert TrainingSpec(report_to="tensorboard").report_to == ("tensorboard",)
    assert TrainingSpec(report_to="none").report_to == ()
