import pytest
from pydantic import BaseModel, ValidationError

import cotune.data
from cotune.data import DataSpec, TaskSpec

TASK = {"name": "t", "source": "x", "kind": "choice"}
SPECS = [
    value
    for value in vars(cotune.data).values()
    if isinstance(value, type) and issubclass(value, BaseModel)
]


def test_the_room_has_specs():
    assert {TaskSpec, DataSpec} <= set(SPECS)


@pytest.mark.parametrize("spec", SPECS)
def test_every_spec_is_frozen_refuses_unknown_keys_and_describes_each_field(spec):
    assert spec.model_config["frozen"]
    assert spec.model_config["extra"] == "forbid"
    assert all(field.description for field in spec.model_fields.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knd": "choice"}, "knd\n  Extra inputs"),
        ({"kind": "chioce"}, "Input should be 'choice', 'label', 'text' or 'chat'"),
        ({"name": ""}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"metric": "acuracy"}, "Unknown metric 'acuracy'. Did you mean accuracy"),
        ({"metric": "rougeL"}, "the metric must fit kind choice, got rougeL"),
        ({"kind": "text", "metric": "accuracy"}, "must fit kind text, got accuracy"),
        ({"kind": "text", "options": ["a", "b"]}, "options go with kind choice or"),
        ({"options": ["a"]}, "at least two options"),
        ({"options": ["a", "a"]}, "different options, got 'a' twice"),
        ({"validation_share": 1.0}, "less than 1"),
        ({"validation_share": float("nan")}, "finite number"),
        ({"limits": {"train_rows": 0}}, "greater than or equal to 1"),
        ({"on_bad_row": "ignore"}, "Input should be 'error' or 'skip'"),
        (
            {"template": {"answer": "{x}"}, "fields": {"answer_is": "index"}},
            "an answer made by a template is text",
        ),
        ({"kind": "chat", "template": {"prompt": "{x}"}}, "kind chat reads"),
    ],
)
def test_a_wrong_task_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        TaskSpec.model_validate({**TASK, **change})


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("choice", "accuracy"), ("label", "accuracy"), ("text", "loss"), ("chat", "loss")],
)
def test_every_kind_has_its_own_metric(kind, metric):
    assert TaskSpec.model_validate({**TASK, "kind": kind}).metric_name == metric


def test_a_task_survives_being_written_and_read():
    task = TaskSpec.model_validate({**TASK, "limits": {"train_rows": 3}})
    assert TaskSpec.model_validate(task.model_dump(mode="json")) == task
