"""The house rules that a machine can check: doors between rooms, sizes of files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "cotune"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name[0] != "_"}
EVERYTHING = ROOMS | {"_adapter", "_adapter_file", "_load"}
ADAPTER_VALUES = {"_adapter", "_adapter_file"}

# Who may import whom (house_plan.md, "Doors"). Top-level helpers without rooms behind
# them (_errors, _registry, _files, ...) are open to all.
DOORS: dict[str, set[str]] = {
    "adapters": {"_adapter", "_adapter_file"},
    "schedules": {"adapters"},
    "operators": ADAPTER_VALUES,
    "analysis": ADAPTER_VALUES | {"operators"},
    "theory": set(),
    "data": set(),
    "embedded": set(),
    "training": {"adapters", "schedules", "operators", "analysis", "data", "_load"}
    | ADAPTER_VALUES
    | {"embedded"},
    "federated": {"adapters", "schedules", "operators", "analysis", "data", "training"}
    | ADAPTER_VALUES
    | {"_load"},
    "report": {"operators", "analysis", "data", "training"} | ADAPTER_VALUES,
    "recipes": {"adapters", "schedules", "operators", "data", "training", "federated"}
    | ADAPTER_VALUES
    | {"_load"},
    "cli": EVERYTHING,
    # The values know how to resolve themselves, through one pure function.
    "_adapter": {"adapters"},
    "_adapter_file": {"_adapter"},
    "_load": {"_adapter_file", "adapters"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms and values of cotune that a file imports, lazily or not."""
    here = ("cotune", *path.relative_to(PACKAGE).parts[:-1])
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = (*base, *(node.module or "").split("."))
            names = [[part for part in module if part]]
            if names[0] == ["cotune"]:
                names = [["cotune", alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        found |= {n[1] for n in names if n[0] == "cotune" and len(n) > 1}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_through_its_doors(path: Path) -> None:
    room = room_of(path)
    if room not in DOORS:
        assert room not in ROOMS, f"room {room} has no line in DOORS"
        return
    strangers = (imported_rooms(path) & EVERYTHING) - DOORS[room] - {room}
    assert not strangers, f"{path.name} in {room}/ imports {sorted(strangers)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 500
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - first[0].lineno + 1 if first else 0
            assert lines <= 60, f"{node.name} has a body of {lines} lines"


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = {path.stem.strip("_") for path in FILES}
    assert not names & {"utils", "misc", "helpers", "common", "v2"}


@pytest.mark.parametrize("library", ["torch", "peft", "transformers"])
def test_importing_cotune_loads_no_heavy_library(library: str) -> None:
    code = f"import sys, cotune; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow  # Two fresh processes, each with all of PEFT.
@pytest.mark.parametrize("first", ["cotune", "peft"])
def test_peft_knows_the_method_whatever_is_imported_first(first: str) -> None:
    second = {"cotune": "peft", "peft": "cotune"}[first]
    code = (
        f"import {first}, {second}\n"
        "from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as table\n"
        "assert 'COTUNE' in table, list(table)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
