"""Acting once another package is imported, without importing it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import pytest

from cotune._after_import import after_import
from helpers import run_python


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a package that notes what is there when its import ends."""
    name = "package_of_this_test"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import inner\nready = True\n")
    (folder / "inner.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    yield name
    sys.meta_path[:] = finders
    for module in (name, f"{name}.inner"):
        sys.modules.pop(module, None)


def test_the_action_waits_for_the_import_and_finds_it_complete(package: str) -> None:
    seen: list[bool] = []
    finders = len(sys.meta_path)
    after_import(package, lambda: seen.append(sys.modules[package].ready))
    assert not seen and package not in sys.modules
    importlib.import_module(package)
    assert seen == [True] and len(sys.meta_path) == finders
    importlib.import_module(package)
    assert seen == [True]


def test_a_package_that_is_there_is_acted_on_at_once(package: str) -> None:
    importlib.import_module(package)
    seen: list[str] = []
    after_import(package, lambda: seen.append("now"))
    assert seen == ["now"]


def test_a_submodule_first_is_the_import_of_the_package(package: str) -> None:
    seen: list[str] = []
    after_import(package, lambda: seen.append("once"))
    importlib.import_module(f"{package}.inner")
    assert seen == ["once"]


def test_two_actions_both_run(package: str) -> None:
    seen: list[int] = []
    for number in (1, 2):
        after_import(package, lambda number=number: seen.append(number))
    importlib.import_module(package)
    assert sorted(seen) == [1, 2]


def test_the_package_keeps_its_own_loader(package: str) -> None:
    after_import(package, lambda: None)
    module = importlib.import_module(package)
    assert module.__spec__ is not None
    assert type(module.__spec__.loader).__name__ == "SourceFileLoader"
    assert module.__loader__ is module.__spec__.loader


def test_a_package_that_another_finder_finds_is_acted_on(package: str) -> None:
    # As packages in editable mode are found.
    path = [folder for folder in sys.path if (Path(folder) / package).is_dir()]
    sys.path[:] = [folder for folder in sys.path if folder not in path]

    class Editable(MetaPathFinder):
        def find_spec(self, fullname: str, *rest: Any) -> ModuleSpec | None:
            return PathFinder.find_spec(fullname, path) if fullname == package else None

    sys.meta_path.append(Editable())
    seen: list[str] = []
    after_import(package, lambda: seen.append("once"))
    importlib.import_module(package)
    assert seen == ["once"]


def test_looking_for_a_package_does_not_act(package: str) -> None:
    seen: list[str] = []
    after_import(package, lambda: seen.append("once"))
    assert importlib.util.find_spec(package) is not None
    assert not seen
    importlib.import_module(package)
    assert seen == ["once"]


def test_a_package_that_is_missing_stays_missing() -> None:
    after_import("no_such_package_of_this_test", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_package_of_this_test")
    sys.meta_path.pop(0)


def test_importing_cotune_loads_nothing_heavy() -> None:
    code = """
import json, sys
import cotune
heavy = ["torch", "peft", "transformers", "datasets", "flwr", "pydantic", "numpy"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    assert run_python(code) == []
