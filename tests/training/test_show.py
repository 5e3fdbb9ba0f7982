"""The table of scores."""

from rich.console import Console

from cotune.training import Evaluation, TaskScore, build_table


def show(*scores):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(build_table(Evaluation(scores)))
    return capture.get()


def test_the_table_has_each_task_and_the_summary():
    text = show(
        TaskScore("one", "accuracy", True, "test", 7, 0.5, 0.75),
        TaskScore("two", "accuracy", True, "test", 9, 0.5, 0.25),
    )
    lines = [line.split("│")[1:-1] for line in text.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells == [
        ["one", "accuracy", "7", "0.500", "0.750", "+0.250"],
        ["two", "accuracy", "9", "0.500", "0.250", "-0.250"],
        ["mean", "accuracy", "", "0.500", "0.500", "+0.000"],
        ["worst", "accuracy", "", "0.500", "0.250", "-0.250"],
        ["spread", "accuracy", "", "0.000", "0.250", "+0.250"],
    ]
    assert "dm% (low is good): +0.0 against the base model" in text


def test_what_was_not_scored_is_a_dash_and_dm_names_its_reference():
    text = show(TaskScore("one", "loss", False, "test", 7, None, 0.5, 1.0))
    assert "loss (low is good)" in text
    assert text.count(" - ") >= 2
    assert "-50.0 against single-task training" in text


def test_without_references_there_is_no_dm():
    assert "dm%" not in show(TaskScore("one", "loss", False, "test", 7, None, 0.5))
