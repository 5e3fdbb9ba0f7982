"""How a run on a SuperLink ended: Flower's own command succeeds whatever it was."""

import json
import sys

import pytest

from cotune import ConfigError
from cotune.recipes._flower_run import _find_last_words, _read_status, run_app

FLOWER = """
import json, sys
if sys.argv[1] == "run":
    print("Successfully started run 42\\nround 1")
else:
    assert sys.argv[1:5] == ["list", "link", "--run-id", "42"]
    print("words before", json.dumps({"runs": [{"status": "STATUS"}]}))
"""
BOX = """\
an earlier line
╭─ Error ───────╮
│ Nobody there. │
│ Look again.   │
╰───────────────╯
"""


def pretend(monkeypatch, code: str) -> None:
    command = (sys.executable, "-c", code)
    monkeypatch.setattr("cotune.recipes._flower_run._COMMAND", command)
    monkeypatch.setattr("cotune.recipes._flower_run._SETTLES", 0.0)


def run(tmp_path, heard):
    run_app(tmp_path, "link", {}, resume=False, say=heard.append)


def test_a_run_that_ends_well_is_passed_on_line_by_line(tmp_path, monkeypatch) -> None:
    pretend(monkeypatch, FLOWER.replace("STATUS", "finished:completed"))
    heard: list[str] = []
    run(tmp_path, heard)
    assert heard == ["Successfully started run 42", "round 1"]


@pytest.mark.parametrize("status", ["finished:failed", "finished:stopped", "running"])
def test_a_run_that_does_not_end_well_is_an_error(
    tmp_path, monkeypatch, status
) -> None:
    pretend(monkeypatch, FLOWER.replace("STATUS", status))
    with pytest.raises(ConfigError, match=rf"run 42 must end with .*, got {status}\."):
        run(tmp_path, [])


def test_what_flower_said_last_is_told_without_the_box_around_it(
    tmp_path, monkeypatch
) -> None:
    pretend(monkeypatch, f"print({BOX!r}); raise SystemExit(3)")
    heard: list[str] = []
    with pytest.raises(ConfigError, match=r"code 3: Nobody there\. Look again\. Check"):
        run(tmp_path, heard)
    assert heard[:3] == BOX.splitlines()[:3]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no word"),
        (["one", "two.", ""], "two"),
        (["╭─╮", "│ a │", "╰─╯", "b"], "b"),
    ],
)
def test_the_last_words_are_a_line_or_a_box(lines, words) -> None:
    assert _find_last_words(lines) == words


@pytest.mark.parametrize("said", ["", "no run", "{}", json.dumps({"runs": []}), "{["])
def test_an_answer_that_says_nothing_is_none(said) -> None:
    assert _read_status(said) == "no answer"
