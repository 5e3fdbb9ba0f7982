from pathlib import Path

import pytest

from cotune import ConfigError
from cotune.recipes import Arm, compare, read_recipe
from cotune.recipes._workers import Workers

WEIGHTS = "adapter/adapter_model.safetensors"


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(world, tmp_path) -> None:
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        recipe = read_recipe(world / "recipe.yaml", [f"output_dir={folder}"])
        arms = [Arm("plain", ("adapter.method=lora",)), Arm("own")]
        rates = (0.01, 0.02)
        lines: list[str] = []
        found.append(
            compare(
                recipe,
                arms,
                learning_rates=rates,
                workers=workers,
                report=lines.append,
            )
        )
        assert len(lines) == 4
    one, two = found
    assert one.as_dict()["arms"].keys() == two.as_dict()["arms"].keys()
    for ours, theirs in zip(one.cells, two.cells, strict=True):
        assert (ours.arm, ours.learning_rate) == (theirs.arm, theirs.learning_rate)
        assert (ours.validation, ours.rows) == (theirs.validation, theirs.rows)
        weights = [
            (Path(cell.folder) / WEIGHTS).read_bytes() for cell in (ours, theirs)
        ]
        assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_mistake_in_a_worker_reaches_the_caller(recipe) -> None:
    broken = recipe.model_copy(
        update={"base": recipe.base.model_copy(update={"name": "/no/such/folder"})}
    )
    with pytest.raises(ConfigError, match=r"base\.name"):
        with Workers(2, lambda one: []) as pool:
            list(pool.train([("arm", broken)]))


def test_torchrun_and_workers_exclude_each_other(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="workers: must be 1 under torchrun, got 3"):
        Workers(3, lambda one: [])
