"""The app that a deployment runs, and what a node may say of itself."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cotune._errors import ConfigError
from cotune.recipes import federate, read_recipe
from cotune.recipes._deployed import _open_house
from cotune.recipes._submit import PACKAGE, submit, write_app
from federated.small_federation import recipe, write_federation


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    write_federation(folder)
    return recipe(folder, folder / "run", "fed-alora")


def house(app: Path, **node):
    context = SimpleNamespace(node_config=node)
    return _open_house(app / PACKAGE / "recipe.yaml", context)


@pytest.mark.slow
def test_the_app_is_a_recipe_and_two_files_that_flower_accepts(asked, tmp_path):
    from flwr.cli.config_utils import load_and_validate

    app = write_app(asked, tmp_path / PACKAGE)
    config, warnings = load_and_validate(app / "pyproject.toml")
    assert config["tool"]["flwr"]["app"]["components"].keys() == {
        "serverapp",
        "clientapp",
    }
    assert not warnings
    assert read_recipe(app / PACKAGE / "recipe.yaml").federated == asked.federated


def test_a_node_says_who_it_is_by_name_or_by_number(asked, tmp_path):
    app = write_app(asked, tmp_path / PACKAGE)
    assert house(app, client="bob").client.name == "bob"
    assert house(app, **{"partition-id": 2}).client.name == "eve"
    for node in ({}, {"partition-id": 3}, {"client": "bobby"}):
        with pytest.raises(ConfigError):
            house(app, **node)


def test_a_nodes_own_paths_change_nothing_that_parties_agree_on(asked, tmp_path):
    app = write_app(asked, tmp_path / PACKAGE)
    world = Path(str(asked.data.root)).parent
    moved = tmp_path / "moved"
    shutil.copytree(world / "data", moved)
    shutil.copytree(world / "base", tmp_path / "elsewhere" / "base")
    own = {
        "client": "ann",
        "data-root": str(moved),
        "base": str(tmp_path / "elsewhere" / "base"),
        "state": str(tmp_path / "state"),
    }
    found, plain = house(app, **own), house(app, client="ann")
    assert found.plan.digest == plain.plan.digest
    assert found.folder == tmp_path / "state"
    rows = found.plan.read_task(found.client).train
    assert str(moved) in rows[0]["where"]


def test_a_node_with_a_recipe_of_its_own_agrees_to_no_other(asked, tmp_path):
    app = write_app(asked, tmp_path / PACKAGE)
    changed = asked.federated.model_copy(update={"local_steps": 9})
    other = write_app(
        asked.model_copy(update={"federated": changed}), tmp_path / "other"
    )
    own = str(other / PACKAGE / "recipe.yaml")
    found = house(app, client="ann", recipe=own)
    assert found.plan.digest != house(app, client="ann").plan.digest


def test_a_superlink_that_is_not_there_is_one_clear_message(asked, monkeypatch):
    monkeypatch.setattr("cotune.recipes._flower_run._COMMAND", ("false",))
    with pytest.raises(ConfigError, match="that the SuperLink is up"):
        submit(asked, "127.0.0.1:9", say=lambda line: None)


@pytest.mark.parametrize("engine", ["local", "simulation", "superlink"])
def test_a_missing_flower_is_said_before_anything_is_begun(
    asked, tmp_path, monkeypatch, engine
):
    own = asked.model_copy(update={"output_dir": str(tmp_path / "run")})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "cotune\[federated\]"'):
        if engine == "superlink":
            submit(own, "127.0.0.1:9", say=lambda line: None)
        else:
            federate(own, engine=engine)
    assert not (tmp_path / "run").exists()
