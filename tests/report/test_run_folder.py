from __future__ import annotations

from pathlib import Path

import pytest

from cotune._errors import ConfigError
from cotune.report._run_folder import find_analyses, open_run_folder, open_runs


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got none of its files \(recipe.yaml"):
        open_runs([tmp_path])
    with pytest.raises(ConfigError, match="no such folder"):
        open_runs([tmp_path / "missing"])
    with pytest.raises(ConfigError, match="got none"):
        open_runs([])


@pytest.mark.parametrize("text", ["{", "[1, 2]", ""])
def test_a_broken_file_is_named(text: str, make_run) -> None:
    folder = make_run()
    (folder / "metrics.json").write_text(text)
    with pytest.raises(ConfigError, match=r"metrics\.json: must"):
        open_runs([folder])


@pytest.mark.parametrize("text", ["a: [", "- 1"])
def test_a_broken_recipe_is_named(text: str, make_run) -> None:
    folder = make_run()
    (folder / "recipe.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.yaml: must"):
        open_runs([folder])


def test_a_recipe_cannot_run_code(make_run, tmp_path: Path) -> None:
    folder, proof = make_run(), tmp_path / "proof"
    text = f"!!python/object/apply:pathlib.Path.touch [{proof}]"
    (folder / "recipe.yaml").write_text(text)
    with pytest.raises(ConfigError, match="must be valid YAML"):
        open_runs([folder])
    assert not proof.exists()


def test_runs_of_one_name_are_told_apart_by_their_parents(make_run) -> None:
    runs = open_runs([make_run("a/run"), make_run("b/run")])
    assert [run.name for run in runs] == ["a/run", "b/run"]


def test_the_same_run_twice_is_refused(make_run) -> None:
    folder = make_run()
    with pytest.raises(ConfigError, match="twice"):
        open_runs([folder, folder / "." / "adapter" / ".."])


def test_an_adapter_folder_alone_is_enough(make_run) -> None:
    run = open_run_folder(make_run() / "adapter", "plain")
    assert run.adapter == run.path


def test_several_files_of_one_analysis_have_names_of_their_own(make_run) -> None:
    folder = make_run()
    text = (folder / "analysis" / "stability.json").read_text()
    (folder / "analysis" / "stability-2.json").write_text(text)
    names = [name for name, _ in find_analyses(open_runs([folder]), "stability")]
    assert names == ["first/stability-2", "first/stability"]
