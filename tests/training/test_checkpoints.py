"""Which checkpoints are complete, which is the last, which are deleted."""

import json

import pytest

from cotune._errors import ConfigError
from cotune.training import find_last, is_complete
from cotune.training._checkpoints import (
    MANIFEST,
    STAGING,
    choose_checkpoint,
    clear_staging,
    finish,
    is_at_end,
    list_checkpoints,
    seal,
)


@pytest.fixture
def make(tmp_path):
    """Return a function that writes a checkpoint with two files."""

    def make(step, *, sealed=True, inside=""):
        folder = tmp_path / inside / f"checkpoint-{step}"
        (folder / "deeper").mkdir(parents=True)
        (folder / "weights").write_bytes(b"12345")
        (folder / "deeper" / "state").write_bytes(b"678")
        if sealed:
            seal(folder)
        return folder

    return make


def test_a_sealed_checkpoint_is_complete(make):
    assert is_complete(make(1))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text("{"),
        lambda folder: (folder / MANIFEST).write_text("[]"),
        lambda folder: (folder / "weights").unlink(),
        lambda folder: (folder / "weights").write_bytes(b"1234"),
        lambda folder: (folder / "deeper" / "state").write_bytes(b""),
    ],
)
def test_a_harmed_checkpoint_is_not_complete(make, harm):
    folder = make(1)
    harm(folder)
    assert not is_complete(folder)


def test_checkpoints_are_listed_by_step_not_by_name(tmp_path, make):
    for step in (10, 9, 100):
        make(step)
    (tmp_path / "checkpoint-x").mkdir()
    (tmp_path / STAGING / "checkpoint-200").mkdir(parents=True)
    assert [p.name for p in list_checkpoints(tmp_path)] == [
        "checkpoint-9",
        "checkpoint-10",
        "checkpoint-100",
    ]
    assert list_checkpoints(tmp_path / "nowhere") == []


def test_the_last_complete_checkpoint_is_found_and_others_are_named(
    tmp_path, make, caplog
):
    make(5), make(10, sealed=False)
    assert find_last(tmp_path) == tmp_path / "checkpoint-5"
    assert "checkpoint-10 is not complete and is skipped" in caplog.text
    assert find_last(tmp_path / "nowhere") is None


def test_finishing_a_checkpoint_moves_it_and_deletes_the_oldest(tmp_path, make):
    for step in (5, 10, 15):
        make(step)
    make(20, sealed=False, inside=STAGING)
    finish(tmp_path, "checkpoint-20", keep=2, best="checkpoint-5")
    names = [path.name for path in list_checkpoints(tmp_path)]
    assert names == ["checkpoint-5", "checkpoint-15", "checkpoint-20"]
    assert is_complete(tmp_path / "checkpoint-20")
    assert not (tmp_path / STAGING).exists()


def test_without_a_limit_all_checkpoints_stay(tmp_path, make):
    make(5), make(10, sealed=False, inside=STAGING)
    finish(tmp_path, "checkpoint-10", keep=None, best=None)
    assert len(list_checkpoints(tmp_path)) == 2


def test_finishing_replaces_a_harmed_checkpoint_of_the_same_step(tmp_path, make):
    (make(5) / "weights").write_bytes(b"")
    make(5, sealed=False, inside=STAGING)
    finish(tmp_path, "checkpoint-5", keep=1, best=None)
    assert is_complete(tmp_path / "checkpoint-5")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_what_a_killed_run_left_is_cleared(tmp_path, make):
    make(5, sealed=False, inside=STAGING)
    clear_staging(tmp_path)
    clear_staging(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_starts_where_it_is_told(tmp_path, make):
    five, ten = make(5), make(10)
    assert choose_checkpoint(tmp_path, None) is None
    assert choose_checkpoint(tmp_path, False) is None
    assert choose_checkpoint(tmp_path, True) == ten
    assert choose_checkpoint(tmp_path, str(five)) == five


def test_a_start_that_is_not_complete_is_refused(tmp_path, make):
    harmed = make(5, sealed=False)
    with pytest.raises(ConfigError, match=r"none is complete.*checkpoint-5"):
        choose_checkpoint(tmp_path, True)
    with pytest.raises(ConfigError, match=r"must be a complete checkpoint, got .*-5"):
        choose_checkpoint(tmp_path, harmed)
    with pytest.raises(ConfigError, match="no checkpoints"):
        choose_checkpoint(tmp_path / "nowhere", True)


@pytest.mark.parametrize(
    ("step", "waited", "ended"),
    [(9, None, False), (10, None, True), (9, 1, False), (9, 2, True)],
)
def test_a_run_is_at_its_end_after_all_steps_or_when_stopped_early(
    tmp_path, step, waited, ended
):
    state = {"global_step": step, "stateful_callbacks": {}}
    if waited is not None:
        state["stateful_callbacks"]["EarlyStoppingCallback"] = {
            "args": {"early_stopping_patience": 2},
            "attributes": {"early_stopping_patience_counter": waited},
        }
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    assert is_at_end(tmp_path, max_steps=10) is ended
