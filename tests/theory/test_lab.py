"""What holds for every experiment of the laboratory."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cotune.theory
from cotune._errors import ConfigError
from cotune.theory import LAB, Finding, FindingGroup
from cotune.theory._groups import run_group

GROUPS = ("linear", "coto", "federated")
EXPERIMENTS = [name for name in LAB if name not in GROUPS]

# At the quick sizes these still decide; the others do so at full size, below.
DECIDES = [
    "linear-recovery",
    "linear-start",
    "linear-scalar",
    "linear-one-direction",
    "linear-unshared",
    "linear-noise",
    "linear-rate",
    "coto-bound",
    "coto-short-budget",
    "federated-persistence",
]

# One problem of the toy takes half a minute; all three are run by LAB["coto"]().
ONE_PROBLEM = {"problems": 1, "seeds": 3, "steps": 2_000, "pretrain_steps": 1_500}
FULL: dict[str, dict[str, Any]] = {
    "coto-toy": ONE_PROBLEM,
    "coto-stability": ONE_PROBLEM | {"rows": 1_000},
    "coto-short-budget": ONE_PROBLEM | {"steps": 500, "pretrain_steps": 500},
}

Run = Callable[[str], Finding]


def test_every_experiment_has_a_quick_size(quick_sizes: dict[str, Any]) -> None:
    assert list(quick_sizes) == EXPERIMENTS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_takes_only_keywords_with_defaults(name: str) -> None:
    parameters = inspect.signature(LAB[name]).parameters
    assert "seeds" in parameters
    for parameter in parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_finding_carries_its_name_rule_rows_and_settings(
    name: str, run_quickly: Run, quick_sizes: dict[str, Any]
) -> None:
    finding = run_quickly(name)
    assert finding.name == name
    assert finding.checks and finding.rows
    assert finding.settings["seeds"] == quick_sizes[name]["seeds"]
    columns = {finding.picture.x, finding.picture.y, finding.picture.by} - {""}
    assert all(columns <= set(row) for row in finding.rows)
    assert all(check.rule in str(finding) for check in finding.checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_finding_becomes_plain_json(name: str, run_quickly: Run) -> None:
    finding = run_quickly(name)
    document = json.loads(finding.to_json())
    assert document["passed"] is finding.passed
    assert len(document["rows"]) == len(finding.rows)
    assert [check["passed"] for check in document["checks"]] == [
        check.passed for check in finding.checks
    ]


@pytest.mark.slow
def test_every_finding_becomes_a_picture(run_quickly: Run, tmp_path: Path) -> None:
    findings = tuple(run_quickly(name) for name in EXPERIMENTS)
    picture = FindingGroup("all", findings).plot(tmp_path / "all.svg").read_text()
    for number in range(1, len(findings) + 1):
        assert f'id="axes_{number}"' in picture


@pytest.mark.parametrize("name", DECIDES)
def test_the_claim_holds_at_a_quick_size(name: str, run_quickly: Run) -> None:
    finding = run_quickly(name)
    assert finding.passed, str(finding)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_second_run_gives_the_same_verdicts_and_counts(
    name: str, run_quickly: Run, quick_sizes: dict[str, Any]
) -> None:
    from cotune.theory.coto._arms import train_arms

    train_arms.cache_clear()
    first, again = run_quickly(name), LAB[name](**quick_sizes[name])
    assert isinstance(again, Finding)
    # Not every number: where a fit fails it wanders, and the last bit of a product
    # depends on where its tensors lie in memory.
    assert _stable_part(again) == _stable_part(first)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_claim_holds_at_full_size(name: str) -> None:
    finding = LAB[name](**FULL.get(name, {}))
    assert finding.passed, str(finding)


def _stable_part(finding: Finding) -> list[Any]:
    counted = ("success", "successes")
    rows = [
        {k: v for k, v in row.items() if k in counted or not isinstance(v, float)}
        for row in finding.rows
    ]
    return [*rows, *(check.passed for check in finding.checks), finding.settings]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_runs_its_experiments_in_the_order_of_the_table(
    group: str, run_quickly: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> Callable[..., Finding]:
        return lambda **_: run_quickly(name)

    fake = {name: run(name) for name in LAB}
    entry = LAB[group]
    monkeypatch.setattr(cotune.theory, "LAB", fake)
    told: list[Finding] = []
    result = entry(tell=told.append)
    assert isinstance(result, FindingGroup)
    expected = [name for name in EXPERIMENTS if name.startswith(group)]
    assert [finding.name for finding in result.findings] == expected
    assert tuple(told) == result.findings


def test_the_groups_hold_all_experiments() -> None:
    heads = {name.partition("-")[0] for name in EXPERIMENTS}
    assert heads == set(GROUPS)


@pytest.mark.slow
def test_a_group_passes_seeds_and_sizes_on(quick_sizes: dict[str, Any]) -> None:
    sizes = quick_sizes | {"coto-bound": {"layers": (2,)}}
    group = run_group("coto", seeds=2, sizes=sizes)
    assert all(finding.settings["seeds"] == 2 for finding in group.findings)
    depths = {row["layers"] for row in group.findings[0].rows}
    assert depths == {2}


def test_a_wrong_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ConfigError, match=r"'linear-rates'. Did you mean linear-rate"):
        LAB["linear-rates"]


def test_the_laboratory_needs_nothing_else_of_the_package() -> None:
    root = Path(cotune.theory.__file__).parent
    allowed = {"_errors", "_figure", "_registry"}
    for file in root.rglob("*.py"):
        depth = len(file.relative_to(root).parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > depth:
                assert node.module in allowed, f"{file}: {node.module}"
            assert not (
                isinstance(node, ast.ImportFrom)
                and node.level == 0
                and str(node.module).startswith("cotune")
            )


def test_importing_the_laboratory_loads_no_experiment_and_no_matplotlib() -> None:
    code = (
        "import sys, cotune.theory; "
        "assert 'matplotlib' not in sys.modules; "
        "assert not [m for m in sys.modules if m.startswith('cotune.theory.linear')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
