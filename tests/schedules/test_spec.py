"""The recipe section."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.schedules import SCHEDULES, CoTo, ScheduleSpec


def test_an_empty_section_is_the_paper_with_the_seed_of_the_run():
    assert ScheduleSpec().build(seed=5) == CoTo(seed=5)


def test_a_seed_of_its_own_wins():
    assert ScheduleSpec(seed=2).build(seed=5) == CoTo(seed=2)


def test_every_field_reaches_the_schedule():
    values = {
        "p0": 0.1,
        "fraction": 0.5,
        "shape": "sine",
        "depth": "low",
        "groups": "third",
        "empty": "resample",
        "seed": 4,
    }
    assert ScheduleSpec(**values).build(seed=0) == CoTo(**values)
    assert set(values) | {"name"} == set(ScheduleSpec.model_fields)


def test_every_field_says_what_it_means():
    fields = ScheduleSpec.model_fields
    assert all(len(field.description or "") > 10 for field in fields.values())


def test_the_settings_of_a_schedule_are_a_section_that_repeats_it():
    schedule = CoTo(p0=0.1, groups="module", seed=9)
    assert ScheduleSpec(**schedule.settings()).build(seed=0) == schedule
    assert schedule.settings()["name"] in SCHEDULES


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "cota"}, "Did you mean coto"),
        ({"shape": "sinus"}, "Did you mean sine"),
        ({"p0": 1.2}, "less than or equal to 1"),
        ({"fraction": float("nan")}, "finite"),
        ({"steps": 5}, "Extra inputs"),
        ({"empty": "resample"}, "would never end"),
    ],
)
def test_a_section_that_does_not_fit_is_refused_when_it_is_read(values, words):
    with pytest.raises(ValidationError, match=words):
        ScheduleSpec(**values)


def test_faults_are_config_errors_underneath():
    assert issubclass(ConfigError, ValueError)
    with pytest.raises(ValidationError) as caught:
        ScheduleSpec(shape="sinus", depth="upp")
    assert "shape:" in str(caught.value) and "depth:" in str(caught.value)
