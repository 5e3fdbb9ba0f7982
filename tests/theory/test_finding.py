from __future__ import annotations

import json
import math

import pytest

from cotune.theory import Check, Finding, FindingGroup, Picture


def _finding(*values: float) -> Finding:
    return Finding(
        name="example",
        claim="Numbers are small.",
        checks=tuple(Check("number", value, high=1.0) for value in values),
        rows=tuple({"x": i, "y": value} for i, value in enumerate(values)),
        settings={"seeds": 1},
        picture=Picture(x="x", y="y"),
    )


def test_the_bounds_pass_unless_the_check_is_strict() -> None:
    assert Check("n", 1.0, low=1.0, high=1.0).passed
    assert not Check("n", 1.0, low=1.0, strict=True).passed
    assert not Check("n", 1.0, high=1.0, strict=True).passed
    assert not Check("n", 0.9, low=1.0).passed


def test_a_number_that_is_not_one_fails() -> None:
    assert not Check("n", math.nan).passed


@pytest.mark.parametrize(
    ("check", "rule"),
    [
        (Check("n", 0.0, low=0.9), ">= 0.9"),
        (Check("n", 0.0, high=0.6, strict=True), "< 0.6"),
        (Check("n", 0.0, low=0.9, high=1.3), ">= 0.9 and <= 1.3"),
    ],
)
def test_a_rule_reads_as_an_interval(check: Check, rule: str) -> None:
    assert check.rule == rule


def test_one_failed_check_fails_the_finding_and_its_group() -> None:
    good, bad = _finding(0.5), _finding(0.5, 2.0)
    assert good.passed and not bad.passed
    assert FindingGroup("g", (good,)).passed
    assert not FindingGroup("g", (good, bad)).passed
    assert "DOES NOT HOLD" in str(FindingGroup("g", (good, bad)))


def test_infinite_numbers_become_null_in_json() -> None:
    document = json.loads(_finding(math.inf).to_json())
    assert document["rows"] == [{"x": 0, "y": None}]
    assert document["checks"][0] == {
        "what": "number",
        "value": None,
        "rule": "<= 1",
        "passed": False,
    }


def test_a_group_lists_its_findings_in_json() -> None:
    group = FindingGroup("g", (_finding(0.5), _finding(2.0)))
    document = json.loads(group.to_json())
    assert document["passed"] is False
    assert [finding["passed"] for finding in document["findings"]] == [True, False]
