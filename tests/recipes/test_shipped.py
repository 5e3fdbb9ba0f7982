"""Every recipe in the package loads, and its model can be built."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import LlamaConfig

import cotune
from cotune.adapters import METHODS, explain_model
from cotune.recipes import build_shape, list_recipe_tasks, list_recipes, read_recipe

FILES = sorted(Path(cotune.__file__).parent.rglob("*.yaml"))
NAMES = list(list_recipes())
BLOCKS = 2
LLAMA = LlamaConfig(
    vocab_size=128,
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=BLOCKS,
    num_attention_heads=32,
    num_key_value_heads=8,
)
"""Llama-3.1-8B, with two of its 32 blocks."""
PLACE = {"source": {"hub": "nobody/nothing"}, "kind": "choice"}
STAND_IN = [{"name": f"task{number}", **PLACE} for number in range(8)]


def test_there_are_recipes_and_every_file_is_one() -> None:
    assert len(NAMES) >= 15
    assert sorted(list_recipes().values()) == FILES


def test_every_method_has_a_recipe_of_its_name() -> None:
    for method in METHODS:
        assert read_recipe(method).adapter.method == method


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_loads_and_says_what_it_is_for(name) -> None:
    recipe = read_recipe(name)
    assert len(recipe.description) > 40
    assert recipe.output_dir.endswith(
        name.replace("/", "-").replace("demo", "demo_run")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_model_of_a_shipped_recipe_can_be_built_on_shapes(name) -> None:
    recipe, config = read_recipe(name), None
    if recipe.data.root != "embedded":
        # Rows that are not at hand: the shapes need the names of tasks only.
        data = recipe.data.model_copy(update={"root": None, "folders": ()})
        tasks = read_recipe(name, [f"data.tasks={STAND_IN}"]).data.tasks
        data = data.model_copy(update={"tasks": tasks})
        recipe = recipe.model_copy(update={"data": data})
    if recipe.base.name.startswith("meta-llama/"):
        config = LLAMA
    lines = explain_model(build_shape(recipe, config))
    assert {line.factor for line in lines} >= {"A", "B"}
    assert all(line.parameters > 0 for line in lines)


@pytest.mark.parametrize(
    ("name", "changes", "parameters"),
    [
        ("papers/cola", (), 52_953_088),
        ("papers/cola", ("adapter.num_A=1",), 42_991_616),
        ("papers/cola-multitask", (), 149_946_368),
        ("papers/cola-multitask", ("adapter.num_A=1", "adapter.num_B=14"), 164_102_144),
        # Per linear 3 r d_in + r d_out + 3 d_in: q is 4096 x 4096, v and o 1024, 4096.
        ("papers/alora-flan8", (), 32 * (221_184 + 8 * (4096 + 1024))),
        ("papers/alora-math", (), 32 * (221_184 + 8 * (4096 + 4096))),
    ],
)
def test_the_papers_recipes_have_the_papers_parameters(
    name, changes, parameters
) -> None:
    changes = [*changes, "data.root=null", "data.folders=[]", f"data.tasks={STAND_IN}"]
    lines = explain_model(build_shape(read_recipe(name, changes), LLAMA))
    trained = sum(line.parameters for line in lines if line.owner != "frozen")
    assert trained * 32 == parameters * BLOCKS


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n in METHODS or n == "demo"])
def test_the_recipes_of_the_methods_differ_in_the_adapter_only(name) -> None:
    ours, demo = (
        read_recipe(one).model_dump(exclude={"adapter", "description", "output_dir"})
        for one in (name, "demo")
    )
    assert ours == demo
    tasks = [task.name for task in list_recipe_tasks(read_recipe(name))]
    assert sorted(tasks) == sorted("gate stamp fee card shelf lot door chip".split())
