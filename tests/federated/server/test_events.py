"""Every event is a line of its own, whatever happened to the line before."""

import json

import pytest

from cotune.federated.server._events import FILE, Events


@pytest.mark.parametrize("before", ["", '{"event": "old"}\n', '{"event": "o'])
def test_an_event_begins_a_new_line(tmp_path, before):
    (tmp_path / FILE).write_text(before)
    Events(tmp_path).say("resume", round=3)
    *old, last = (tmp_path / FILE).read_text().splitlines()
    assert "\n".join(old) == before.rstrip("\n")
    found = json.loads(last)
    assert (found["event"], found["round"]) == ("resume", 3)


def test_a_watcher_is_told_what_is_written(tmp_path):
    told = []
    Events(tmp_path / "new", lambda *event: told.append(event)).say("done", rounds=2)
    assert told == [("done", {"rounds": 2})]
    (line,) = (tmp_path / "new" / FILE).read_text().splitlines()
    assert json.loads(line)["time"].endswith("+00:00")
