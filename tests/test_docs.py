"""Every block of code in the pages for users works as it stands there.

``README.md`` and ``CONTRIBUTING.md`` have tests of their own.
"""

from __future__ import annotations

import contextlib
import csv
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cotune
from helpers import tiny_batch, tiny_model, write_loras
from recipes.small_world import call, make_rows, run, write_base, write_rows
from test_readme import shown_options

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
OUR_COMMANDS = ("cotune ", "torchrun ", "accelerate ")


def blocks(page: str, kind: str) -> list[str]:
    """Return the blocks of one kind on a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Return the command lines of a page, without prompts and comments."""
    text = "".join(blocks(page, "bash") + blocks(page, "console"))
    lines = text.replace("\\\n", " ").splitlines()
    plain = [shlex.join(shlex.split(line.removeprefix("$ "), True)) for line in lines]
    return [line for line in plain if line.startswith(OUR_COMMANDS)]


def words(line: str) -> list[str]:
    """Return what follows the name of our command, however it is started."""
    found = shlex.split(line)
    return found[found.index("cotune") + 1 :] if "cotune" in found else []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_of_a_page_is_there(page: str) -> None:
    for line in commands(page):
        name, *rest = words(line)
        names = [name, rest[0]] if name == "analyze" else [name]
        there = shown_options(*names)
        for word in rest:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in there, line


def test_the_pages_have_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) >= 20


# -- Python ------------------------------------------------------------------------


@pytest.fixture
def names(tmp_path, monkeypatch) -> dict[str, Any]:
    """Return what a reader has at hand."""
    import peft
    from datasets import Dataset
    from transformers import AutoTokenizer, Trainer, TrainingArguments

    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "base")
    folders = write_loras(tmp_path)
    row = {"input_ids": [5, 6, 7], "labels": [5, 6, 7], "attention_mask": [1, 1, 1]}
    config = cotune.CoLoRAConfig(
        r=2, tasks=["a", "b"], target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return {
        "cotune": cotune,
        "peft": peft,
        "torch": torch,
        "base": tiny_model("llama"),
        "config": config,
        "rows": Dataset.from_list([{**row, "tasks": 0}, {**row, "tasks": 1}]),
        "tokenizer": AutoTokenizer.from_pretrained(tmp_path / "base"),
        "trainer": Trainer(tiny_model("llama"), TrainingArguments("t")),
        "folders": folders,
        "adapter": cotune.read_adapter(folders[0]),
        "score": lambda adapter: float(len(adapter.layers)),
    }


def run_blocks(page: str, names: dict[str, Any]) -> dict[str, Any]:
    for code in blocks(page, "python"):
        exec(compile(code, page, "exec"), names)
    return names


def test_the_code_of_the_first_page_runs(names) -> None:
    names["batch"] = tiny_batch("llama", samples=3)
    found = run_blocks("index.md", names)
    assert found["model"].peft_config["default"].tasks == ["radiology", "cardiology"]


# The page leaves the number of new tokens to the model.
@pytest.mark.filterwarnings("ignore:Using the model-agnostic default:UserWarning")
def test_the_code_about_tasks_runs(names) -> None:
    import peft

    model = peft.get_peft_model(names["base"], names["config"])
    batch = tiny_batch("llama", samples=2)
    del batch["labels"]
    run_blocks("methods.md", {**names, "model": model, "batch": batch})
    assert model.peft_config["default"].tasks == ["a", "b", "c"]


@pytest.mark.filterwarnings("ignore:'pin_memory':UserWarning")
def test_the_code_for_an_own_trainer_runs_and_trains(names) -> None:
    import peft

    model = peft.get_peft_model(tiny_model("llama"), cotune.MoELoRAConfig(r=2))
    batch = tiny_batch("llama", samples=2)
    found = run_blocks("own_trainer.md", {**names, "model": model, "batch": batch})
    assert found["loss"].requires_grad
    trainer = found["trainer"]
    trainer.args.max_steps, trainer.args.report_to = 1, []
    trainer.train()
    assert trainer.state.global_step == 1


def test_the_code_about_merging_runs(names, capsys) -> None:
    found = run_blocks("merging.md", names)
    assert 0 <= float(capsys.readouterr().out) <= 0.05
    assert cotune.read_adapter("merged").layers.keys() == names["adapter"].layers.keys()
    assert len(found["trainer"].callback_handler.callbacks) > 1


def test_the_code_about_analysis_runs(names) -> None:
    found = run_blocks("analysis.md", names)["found"]
    assert len(found.to_frame()) > 1
    assert Path("scores.jsonl").is_file()


def test_no_page_has_python_that_is_not_run_here() -> None:
    pages = {page for page in PAGES if blocks(page, "python")}
    known = {"index.md", "methods.md", "own_trainer.md", "merging.md", "analysis.md"}
    assert pages == known


# -- recipes and commands ----------------------------------------------------------


@pytest.fixture
def clinic(tmp_path, monkeypatch) -> Iterator[Path]:
    """Write the recipe of the page, with a small base, and the rows it speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    write_base(tmp_path / "base")
    for part, rows in (("train", 24), ("test", 6)):
        path = tmp_path / "data" / "radiology" / f"{part}.jsonl"
        write_rows(path, make_rows(rows, part=part))
    with (tmp_path / "triage.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for row in make_rows(24, part="csv"):
            table.writerow([row["prompt"], f"urgent: {row['answer']}"])
    (text,) = blocks("recipes.md", "yaml")
    text = text.replace("meta-llama/Llama-3.2-1B", "base")
    text = text.replace("num_train_epochs: 3", "use_cpu: true, num_train_epochs: 1")
    (tmp_path / "clinic.yaml").write_text(text, encoding="utf-8")
    yield tmp_path
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "clinic.yaml").unlink()


@pytest.mark.slow
def test_the_commands_about_recipes_run_in_their_order(clinic) -> None:
    lines = commands("recipes.md")
    assert len(lines) == 9
    for line in lines:
        if "lab" not in words(line):  # It has tests of its own, and takes minutes.
            run(*words(line))
    assert (clinic / "out" / "triage" / "adapter_model.safetensors").is_file()
    assert (clinic / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_commands_about_merging_and_analysis_run_in_their_order(clinic) -> None:
    for name in ("a", "b", "c", "clinic", "shared", "radiology", "triage"):
        method = "colora" if name == "shared" else "lora"
        changes = [f"output_dir=runs/{name}", f"adapter.method={method}"]
        changes.append("adapter.target_modules=[q_proj, v_proj]")
        if name in ("radiology", "triage"):
            kept = [t for t in clinic_tasks() if t["name"] == name]
            changes.append(
                f"data.tasks={yaml.safe_dump(kept, default_flow_style=True)}"
            )
        options = [word for change in changes for word in ("--set", change)]
        run("train", "clinic.yaml", *options)
    (text,) = blocks("merging.md", "yaml")
    Path("merge.yaml").write_text(text.replace("out: merged", "out: mixed"))
    for page in ("merging.md", "analysis.md"):
        for line in commands(page):
            result = call(*words(line))
            assert result.exit_code == 0, (line, result.stderr)
    assert Path("pruning.png").is_file()


def clinic_tasks() -> list[dict[str, Any]]:
    return yaml.safe_load(blocks("recipes.md", "yaml")[0])["data"]["tasks"]


def test_the_recipes_about_federations_are_recipes(clinic) -> None:
    from cotune.recipes import build_plan, check_recipe

    values = yaml.safe_load(Path("clinic.yaml").read_text(encoding="utf-8"))
    values["adapter"]["method"] = "lora"
    sections = [yaml.safe_load(text) for text in blocks("federated.md", "yaml")]
    assert len(sections) == 3
    for section in sections:
        plan = build_plan(check_recipe(values | section))
        assert len(plan.clients) in (2, 8)


def test_the_federation_to_try_can_be_explained() -> None:
    lines = [line for line in commands("federated.md") if "--explain" in line]
    assert len(lines) == 1
    assert "bytes" in run(*words(lines[0]))
