"""The command ``cotune federate``."""

import json

import pytest
import yaml

from cotune.federated._wire import NUMBERS
from federated.small_federation import values, write_federation
from recipes.small_world import call, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_federation(folder)
    return folder


@pytest.fixture
def path(world, tmp_path):
    content = values(world, tmp_path / "run", aggregation="fed-alora", rounds=1)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "recipe.yaml"


def test_a_run_shows_both_scores_and_says_where_the_files_lie(path):
    printed = run("federate", path, "--engine", "local")
    assert "after aggregation" in printed and "after local training" in printed
    assert "worst accuracy" in printed and "all clients" in printed
    folder = path.parent / "run"
    assert f"Everything lies in {folder}" in printed
    assert json.loads((folder / "metrics.json").read_text())["federated"]["rounds"] == 1
    again = call("federate", path, "--engine", "local")
    assert again.exit_code == 2 and "--resume" in again.stderr
    printed = run(
        *("federate", path, "--engine", "local", "--resume"),
        *("--set", "federated.rounds=2"),
    )
    assert "2 rounds" in printed


def test_the_report_has_a_section_on_what_was_sent(path):
    from cotune.report import write_report

    run("federate", path, "--engine", "local")
    page = write_report([path.parent / "run"], path.parent / "report.html")
    assert "Communication" in page.read_text()


def test_explain_says_what_leaves_and_what_stays_and_runs_nothing(path):
    printed = run("federate", path, "--explain")
    assert "What travels" in printed and "Stays at home: A;" in printed
    assert "secure-aggregation" in printed
    for number in NUMBERS:  # All that a reply can hold is said.
        assert number.partition("_")[0] in printed
    # B of q and v in two blocks: 4 x 16 x 2 numbers, 3 clients.
    assert f"{4 * 16 * 2 * 4 * 3:,}" in printed
    assert not (path.parent / "run").exists()


def test_an_unknown_engine_gets_the_nearest_name(path):
    result = call("federate", path, "--engine", "simulate")
    assert result.exit_code == 2 and "Did you mean simulation?" in result.stderr


def test_a_recipe_without_the_section_is_refused():
    result = call("federate", "lora", "--engine", "local")
    assert result.exit_code == 2 and "federated: must be a section" in result.stderr
