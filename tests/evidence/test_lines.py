"""Every line of the ledger is complete, and every setting can be read."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from benchmarks.evidence.bench import HERE, read_profile
from benchmarks.evidence.command import read_config
from benchmarks.evidence.publish import LINES, read_lines

from cotune.recipes import read_recipe

SETTINGS = sorted((HERE / "settings").rglob("*.yaml"))


@pytest.mark.parametrize("path", SETTINGS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_setting_is_a_recipe_with_rows_to_choose_a_rate(path: Path) -> None:
    assert read_recipe(path).data.validation_share > 0


@pytest.mark.parametrize("name", LINES)
def test_a_line_has_a_claim_and_both_profiles(name: str) -> None:
    config = read_config(HERE / name)
    assert {"claim", "paper", "here", "why", "profiles"} == set(config)
    assert set(config["profiles"]) == {"quick", "full"}


@pytest.mark.parametrize("name", LINES)
def test_a_line_can_be_run_or_says_why_not(name: str) -> None:
    if (HERE / name / "run.py").is_file():
        assert callable(import_module(f"benchmarks.evidence.{name}.run").measure)
    else:
        assert read_config(HERE / name)["why"]["not run"]


@pytest.mark.parametrize("line", read_lines(), ids=lambda line: line.name)
def test_a_sentence_on_a_result_has_no_figure_of_its_own(line) -> None:
    assert not re.search(r"\d*\.\d|\d\s*%", line.why)


@pytest.mark.parametrize("line", read_lines(), ids=lambda line: line.name)
def test_the_verdict_in_a_record_follows_from_its_parts(line) -> None:
    if line.record is not None:
        assert line.record["verdict"] == line.verdict


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_profile_has_five_seeds_and_four_rates(profile: str) -> None:
    found = read_profile(profile)
    assert len(set(found.seeds)) >= 5 and len(set(found.rates)) >= 4
