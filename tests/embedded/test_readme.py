"""What the README of the embedded model says is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import cotune.embedded as embedded
from cotune.embedded import FAMILIES, TASKS, model_folder, write_tasks

README = (Path(str(embedded.__file__)).parent / "README.md").read_text()


def table_lines(first: str) -> list[list[str]]:
    """Return the cells of the lines of a table that begin as asked."""
    found = [line for line in README.splitlines() if line.startswith(f"| {first}")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in found]


def test_the_shape_is_that_of_the_model(model, tokenizer) -> None:
    config, plan = model.config, json.loads((model_folder() / "build.json").read_text())
    wanted = {
        "architecture": f"Llama: {config.num_hidden_layers} blocks, width "
        f"{config.hidden_size}, {config.num_attention_heads} heads, inner width "
        f"{config.intermediate_size}, embeddings tied",
        "numbers": f"{sum(p.numel() for p in model.parameters()):,}",
        "tokens": f"{len(tokenizer)}: one per word of the world, one per byte of "
        f"anything else; at most {config.max_position_embeddings} in a row",
        "time": f"{plan['seconds']} seconds on {plan['plan']['threads']} threads of a "
        "busy machine",
        "file": f"`model/model.safetensors`, half precision, {plan['bytes']:,} bytes",
    }
    assert config.tie_word_embeddings
    for name, value in wanted.items():
        assert table_lines(name) == [[name, value]]


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "assert" in code
    exec(compile(code, "README.md", "exec"), {})


def test_every_task_is_shown_with_its_family_and_a_test_row(tmp_path) -> None:
    files = write_tasks(tmp_path)
    lines = table_lines("`")
    assert [name.strip("`") for name, *_ in lines] == list(TASKS)
    for name, family, text, chance, _ in lines:
        name = name.strip("`")
        assert name in FAMILIES[{"outsider": "outsiders"}.get(family, family)]
        row = json.loads(files[name]["test"].read_text().splitlines()[0])
        assert text == f"{row['prompt']} - {row['answer']}"
        assert float(chance) == round(1 / len(row["options"]), 3)


@pytest.mark.slow
def test_the_base_model_is_as_good_as_the_table_says() -> None:
    from cotune.recipes import load_recipe_tasks, open_base, read_recipe
    from cotune.training import evaluate

    recipe = read_recipe("demo")
    tasks = load_recipe_tasks(recipe)
    opened = open_base(recipe, tasks)
    found = evaluate(opened.model, tasks[::3], opened.base)
    scores = {name.strip("`"): float(score) for name, *_, score in table_lines("`")}
    assert len(found.tasks) == 3
    for one in found.tasks:
        # Two of 200 rows may fall the other way on another machine.
        assert one.base == pytest.approx(scores[one.task], abs=0.011)
