import json
import os
import subprocess
import sys

import pytest

from cotune import read_adapter
from recipes.small_world import run

WEIGHTS = "adapter/adapter_model.safetensors"


@pytest.mark.slow
def test_a_run_shows_its_scores_and_where_it_lies(world, tmp_path) -> None:
    folder = tmp_path / "a run [1]"
    shown = run("train", world / "recipe.yaml", "--set", f"output_dir={folder}")
    assert f"Everything lies in {folder}\n" in shown
    assert all(word in shown for word in ("left", "right", "accuracy", "dm%"))
    files = {path.name for path in folder.iterdir()}
    assert files >= {"recipe.yaml", "metrics.json", "settings.json", "adapter"}


@pytest.mark.slow
def test_a_change_on_the_command_line_reaches_the_adapter(world, tmp_path) -> None:
    changes = ("adapter.r=3", "adapter.method=cola", f"output_dir={tmp_path / 'run'}")
    options = [word for change in changes for word in ("--set", change)]
    run("train", world / "recipe.yaml", *options)
    adapter = read_adapter(tmp_path / "run" / "adapter")
    assert next(iter(adapter.layers.values())).A.shape[:2] == (2, 3)


@pytest.mark.slow
def test_a_finished_run_can_be_resumed_and_stays_as_it_is(world, tmp_path) -> None:
    words = ["train", world / "recipe.yaml", "--set", f"output_dir={tmp_path / 'run'}"]
    words += ["--set", "training.save_strategy=epoch", "--set", "training.max_steps=3"]
    run(*words)
    before = (tmp_path / "run" / WEIGHTS).read_bytes()
    run(*words, "--resume")
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == before


@pytest.mark.slow
def test_separate_training_shows_all_tasks_in_one_table(world, tmp_path) -> None:
    words = ["--set", "separate=true", "--set", f"output_dir={tmp_path / 'run'}"]
    shown = run("train", world / "recipe.yaml", *words)
    assert "left" in shown
    assert "right" in shown
    assert (tmp_path / "run" / "left" / WEIGHTS).is_file()


@pytest.mark.slow
def test_in_a_process_of_its_own_a_run_gives_the_same_adapter(
    world, trained, tmp_path
) -> None:
    command = [sys.executable, "-m", "cotune", "train", str(world / "recipe.yaml")]
    command += ["--set", f"output_dir={tmp_path / 'run'}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Everything lies in" in result.stdout
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    # Without a GPU these are two processes on the CPU.
    "accelerate": "accelerate.commands.launch --multi_gpu --num_machines=1 "
    "--num_processes=2 --mixed_precision=no --dynamo_backend=no".split(),
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_under_a_launcher_the_first_process_prints_and_both_train(
    world, tmp_path, launcher
) -> None:
    folder = tmp_path / "run"
    commands = [["train", str(world / "recipe.yaml"), "--set", f"output_dir={folder}"]]
    if launcher == "torchrun":
        commands.append(["evaluate", str(folder)])
    for words in commands:
        result = subprocess.run(
            [sys.executable, "-m", *LAUNCHERS[launcher], "-m", "cotune", *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            timeout=300,
        )
        assert result.returncode == 0, result.stderr[-3000:]
        assert result.stdout.count(str(folder)) == 1
        assert result.stdout.count("left") == 1
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["tasks"]["left"]["rows"] == 6


@pytest.mark.slow
def test_a_section_that_train_leaves_aside_is_told(world, tmp_path) -> None:
    changes = (
        "adapter.method=lora",
        "federated.aggregation=fedit",
        f"output_dir={tmp_path / 'run'}",
    )
    options = [word for change in changes for word in ("--set", change)]
    shown = run("train", world / "recipe.yaml", *options)
    assert shown.startswith("The section federated is left aside: `cotune federate`")
