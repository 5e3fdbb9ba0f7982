"""What is shown of a federation's replies that were dropped."""

import json

from cotune.cli._federate_show import describe_losses


def write(folder, *rounds):
    (folder / "rounds.json").write_text(json.dumps(rounds))
    return describe_losses(folder)


def test_a_run_without_losses_needs_no_word(tmp_path):
    assert write(tmp_path, {"skipped": False, "dropped": {}}) == ""


def test_reasons_are_counted_and_the_logs_are_named(tmp_path):
    lost = {"ann": "config", "bob": "norm: the change is longer than 2"}
    told = write(
        tmp_path,
        {"skipped": False, "dropped": lost},
        {"skipped": True, "dropped": {"ann": "config"}},
    )
    assert told.startswith("Replies dropped: config (2), norm (1). ")
    assert str(tmp_path / "events.jsonl") in told
    assert "own log" in told


def test_a_run_that_learned_nothing_says_so_first(tmp_path):
    told = write(tmp_path, {"skipped": True, "dropped": {"ann": "late"}})
    assert told.startswith("Nothing was learned: every round was skipped. Replies")
