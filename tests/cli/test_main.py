"""The command line as a whole: help, codes, tracebacks, imports."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cotune import ConfigError
from cotune.cli import COMMANDS, app, main
from cotune.cli._group import Group
from recipes.small_world import call, run

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "pydantic", "numpy", "datasets", "yaml")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_every_command_is_listed_and_has_a_help_page() -> None:
    listed = run("--help")
    for name, text in COMMANDS.items():
        assert name in listed
        assert text.split(",")[0] in run(name, "-h")


def test_the_help_is_shown_without_arguments() -> None:
    assert "Usage" in call().output


def test_the_help_loads_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys, time\n"
        "from typer.testing import CliRunner\n"
        "begin = time.process_time()\n"
        "from cotune.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0\n"
        "spent = time.process_time() - begin\n"
        f"print(spent, [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    spent, loaded = python("-W", "ignore", "-c", code).stdout.split(maxsplit=1)
    assert loaded.strip() == "[]"
    # Time of the processor, which neighbours on the machine do not change much.
    assert float(spent) < 0.5


def test_python_m_cotune_is_the_command() -> None:
    result = python("-m", "cotune", "--help")
    assert result.returncode == 0
    assert "compare" in result.stdout


def test_the_entry_point_is_main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, name = project["project"]["scripts"]["cotune"].partition(":")
    assert getattr(import_module(module), name) is main


def test_a_mistake_of_the_caller_is_one_red_message_and_code_2(monkeypatch) -> None:
    def fail() -> None:
        raise ConfigError("r: must be >= 1, got 0. Raise it.")

    small = typer.Typer(cls=Group, pretty_exceptions_enable=False)
    small.command("fail")(fail)
    small.command("other")(lambda: None)
    result = CliRunner().invoke(small, ["fail"], color=True)
    assert result.exit_code == 2
    assert result.stderr == "\x1b[31mcotune: r: must be >= 1, got 0. Raise it.\x1b[0m\n"
    assert result.stdout == ""
    monkeypatch.setenv("LOCAL_RANK", "1")
    result = CliRunner().invoke(small, ["fail"])
    assert (result.exit_code, result.output) == (2, "")


def test_only_a_mistake_of_the_caller_is_caught(monkeypatch) -> None:
    monkeypatch.setattr("cotune.adapters.METHODS", None)
    with pytest.raises(AttributeError):
        call("methods")


@pytest.mark.slow
def test_an_unexpected_error_keeps_its_traceback() -> None:
    code = (
        "import cotune.cli, cotune.cli._methods as m, cotune.adapters\n"
        "del cotune.adapters.METHODS\n"
        "import sys; sys.argv = ['cotune', 'methods']; cotune.cli.main()\n"
    )
    result = python("-W", "ignore", "-c", code)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ImportError" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "cola", "--sett", "a=b"], "--sett"),
        (["explain", "cola", "--layers", "-1"], "Invalid value for '--layers'"),
    ],
)
def test_wrong_usage_is_told_as_usual(words, says) -> None:
    result = call(*words)
    assert result.exit_code == 2
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", "", result.stderr)
    assert says in " ".join(plain.split())


@pytest.mark.slow
def test_a_mistake_in_a_process_of_its_own_shows_no_traceback() -> None:
    result = python("-W", "ignore", "-m", "cotune", "check", "colla")
    assert result.returncode == 2
    assert result.stderr.startswith("cotune: colla: must be a file")
    assert "Traceback" not in result.stderr
    assert app.info.name == "cotune"


def test_every_argument_has_a_help_text_that_is_shown() -> None:
    from typer.main import get_command

    top = get_command(app)
    groups = [top, top.get_command(None, "analyze")]
    silent, shown = [], 0
    for group in groups:
        for name in group.commands:
            command = group.get_command(None, name)
            for parameter in command.params:
                text = parameter.help or getattr(parameter, "metavar", None)
                shown += bool(parameter.help)
                if not text:
                    silent.append((name, parameter.name))
    assert silent == []
    assert shown > 50
