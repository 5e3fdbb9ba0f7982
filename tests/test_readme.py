"""What the README promises in a line of code works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import cotune
from helpers import tiny_batch, tiny_model, write_loras

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def table_code() -> list[str]:
    """Return the code of the table of needs, in its order."""
    (table,) = re.findall(r"\n\| you want to.*?\n\n", README, flags=re.DOTALL)
    lines = [line.split("|")[2] for line in table.strip().splitlines()[2:]]
    return [code for line in lines for code in CODE.findall(line)]


def shell_lines() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in [*lines, *table_code()] if line.startswith("cotune ")]


def run_line(code: str, names: dict[str, Any]) -> Any:
    try:
        return eval(compile(code, "README.md", "eval"), names)
    except SyntaxError:
        exec(compile(code, "README.md", "exec"), names)
        return None


@pytest.fixture
def names(tmp_path, monkeypatch) -> dict[str, Any]:
    """Return what a reader has at hand: a base, a batch, a trainer, some adapters."""
    import peft
    from transformers import Trainer, TrainingArguments

    from cotune.operators.convert import recompress

    monkeypatch.chdir(tmp_path)
    base = tiny_model("llama")
    trainer = Trainer(base, TrainingArguments(str(tmp_path / "t"), report_to="none"))
    folders = write_loras(tmp_path)
    update = cotune.read_adapter(folders[0]).update("model.layers.0.self_attn.q_proj")
    exported = {name: getattr(cotune, name) for name in cotune.__all__}
    return {
        **exported,
        "recompress": recompress,
        "cotune": cotune,
        "peft": peft,
        "base": tiny_model("llama"),
        "batch": tiny_batch("llama", samples=3),
        "trainer": trainer,
        "folders": folders,
        "update": update,
    }


def test_every_line_of_the_table_runs_in_its_order(names) -> None:
    done = 0
    for code in table_code():
        if code.startswith("cotune "):
            continue
        found = run_line(code, names)
        if code.startswith("peft.get_peft_model"):
            names["model"] = found
        done += 1
    assert done >= 10
    assert names["model"].peft_config["default"].tasks == ["a", "b", "c"]
    assert Path("out", "adapter_model.safetensors").is_file()


def shown_options(*names: str) -> str:
    """Return the help of a command, without colours."""
    from typer.testing import CliRunner

    from cotune.cli import app

    shown = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.output)


@pytest.mark.parametrize("line", shell_lines())
def test_every_command_and_option_is_there(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    plain = shown_options(words[0])
    for option in (word for word in words if word.startswith("--")):
        assert option in plain


def test_the_commands_were_found() -> None:
    assert len(shell_lines()) >= 6


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path, monkeypatch) -> None:
    from recipes.small_world import recipe_values, run, write_recipe, write_world

    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    values = recipe_values(tmp_path) | {"output_dir": str(tmp_path / "RUN")}
    for name in ("one", "two"):
        changes = [f"output_dir={name}", "adapter.method=lora"]
        run("train", "recipe.yaml", *(w for one in changes for w in ("--set", one)))
    done = 0
    for line in shell_lines():
        words = shlex.split(line, comments=True)[1:]
        if words[0] in ("lab", "demo"):  # Minutes; they have tests of their own.
            continue
        federated = {"aggregation": "colora", "rounds": 1, "local_steps": 1}
        section = {"federated": federated} if words[0] == "federate" else {}
        folder = {"output_dir": str(tmp_path / words[0])} if words[0] != "train" else {}
        write_recipe(tmp_path / "recipe.yaml", values | section | folder)
        engine = ["--engine", "local"] if words[0] == "federate" else []
        out = [f"{words[0]}{done}" if word == "out" else word for word in words]
        run(*out, *engine)
        done += 1
    assert done >= 11
    assert (tmp_path / "both" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "report.html").is_file()
