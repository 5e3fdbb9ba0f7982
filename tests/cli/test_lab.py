import json
from dataclasses import replace

import pytest

import cotune.theory
from cotune.theory import LAB, Check, FindingGroup
from recipes.small_world import call, run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch):
    """Put one tiny experiment in the place of a group; it is told what was asked."""
    asked = {}
    finding = LAB["linear-one-direction"](seeds=2, users=(3, 24))

    def group(**options):
        asked.update(options)
        options["tell"](finding)
        return FindingGroup("linear", (asked.get("finding", finding),))

    monkeypatch.setattr(cotune.theory, "LAB", {"linear": group})
    return asked, finding


def test_every_check_is_shown_with_its_value_and_its_rule(small, tmp_path) -> None:
    _, finding = small
    text = run("lab", "linear", "--output-dir", tmp_path)
    assert "linear-one-direction: holds." in text
    assert text.count("pass") == len(finding.checks) + 1
    for check in finding.checks:
        assert check.what in text and check.rule in text


def test_json_and_picture_are_written(small, tmp_path) -> None:
    folder = tmp_path / "deep" / "lab"
    run("lab", "linear", "--output-dir", folder)
    found = json.loads((folder / "linear.json").read_text())
    assert found["passed"] and found["findings"][0]["checks"]
    assert (folder / "linear.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_size_and_seeds_reach_the_experiments(small, tmp_path) -> None:
    asked, _ = small
    run("lab", "linear", "--output-dir", tmp_path)
    assert asked["quick"] is True and asked["seeds"] is None
    run("lab", "linear", "--full", "--seeds", "3", "--output-dir", tmp_path)
    assert asked["quick"] is False and asked["seeds"] == 3


def test_a_broken_rule_ends_with_code_1(small, tmp_path) -> None:
    asked, finding = small
    checks = (Check("one number", 2.0, high=1.0),)
    asked["finding"] = replace(finding, checks=checks)
    result = call("lab", "linear", "--output-dir", tmp_path)
    assert result.exit_code == 1
    assert "FAIL" in result.output


def test_an_unknown_experiment_is_refused() -> None:
    assert call("lab", "quadratic").exit_code == 2


@pytest.mark.slow
def test_the_federated_group_runs_from_the_command_line(tmp_path) -> None:
    text = run("lab", "federated", "--quick", "--seeds", "2", "--output-dir", tmp_path)
    assert "federated-sides" in text and "federated-persistence" in text
