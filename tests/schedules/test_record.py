"""The record of what was on."""

from __future__ import annotations

import json

import pytest

from cotune._errors import ConfigError
from cotune.schedules import ActivationRecord, CoTo, group_layers
from cotune.schedules._record import MOST_BINS, Recorder

GROUPS = group_layers([f"layers.{place}.q" for place in range(3)])


def recorded(total: int, steps: int, schedule: CoTo | None = None) -> ActivationRecord:
    schedule = schedule or CoTo(p0=0.1)
    recorder = Recorder(schedule, total, GROUPS)
    for step in range(steps):
        recorder.add(step, schedule.mask(step, total, GROUPS))
    return recorder.record()


def test_a_short_run_has_one_bin_per_step_and_every_mask_can_be_read_off():
    schedule = CoTo(p0=0.1)
    record = recorded(40, 40, schedule)
    assert record.first_steps == tuple(range(40)) and set(record.steps) == {1}
    for step in range(40):
        mask = schedule.mask(step, 40, GROUPS)
        assert {name: bool(row[step]) for name, row in record.share.items()} == mask
        assert record.probability[step] == schedule.probability(step, 40)


def test_a_long_run_has_a_bounded_number_of_bins_and_the_same_mean():
    total = 10 * MOST_BINS + 7
    schedule = CoTo(p0=0.1)
    record = recorded(total, total, schedule)
    assert len(record.steps) <= MOST_BINS and sum(record.steps) == total
    on = sum(sum(schedule.mask(step, total, GROUPS).values()) for step in range(total))
    assert record.mean_share == pytest.approx(on / (3 * total), abs=1e-12)


def test_groups_are_listed_from_the_input_to_the_output():
    assert list(recorded(4, 4).share) == ["layers.0", "layers.1", "layers.2"]


def test_steps_that_were_not_taken_are_not_in_the_record():
    record = recorded(40, 10)
    assert record.total_steps == 40 and len(record.first_steps) == 10


def test_json_gives_the_record_back():
    record = recorded(40, 10)
    assert ActivationRecord.from_json(record.to_json()) == record
    assert json.loads(record.to_json())["schedule"]["name"] == "coto"


def test_a_file_is_written_whole_and_leaves_no_draft(tmp_path):
    record = recorded(40, 10)
    path = tmp_path / "run" / "activation.json"
    record.save(path)
    assert ActivationRecord.from_json(path.read_text()) == record
    assert [file.name for file in path.parent.iterdir()] == ["activation.json"]


def test_the_mean_share_is_that_of_the_pairs():
    record = ActivationRecord(
        {}, 4, (0, 3), (3, 1), (0.5, 1.0), {"a": (0.0, 1.0), "b": (1.0, 1.0)}
    )
    assert record.mean_share == (0 + 1 + 3 + 1) / 8


def test_an_empty_record_has_no_mean():
    with pytest.raises(ConfigError, match="must hold a step"):
        recorded(4, 0).mean_share  # noqa: B018


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"share": 3}', '{"share": {}}'])
def test_other_json_is_refused(text):
    with pytest.raises(ConfigError, match="JSON of a record"):
        ActivationRecord.from_json(text)
