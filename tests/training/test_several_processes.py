"""Two processes on one machine (gloo): the same as one with twice the batch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("shared_run.py")
TOLERANCE = 2e-6  # sums in another order; seven steps of AdamW at rate 1e-2

TWO = [
    # Two rows and three tasks: in every step each rank lacks a task.
    {"out": "two/by_task", "method": "by-task", "per_device_train_batch_size": 2},
    {
        "out": "two/strict",
        "method": "by-task",
        "per_device_train_batch_size": 2,
        "ddp_find_unused_parameters": False,
        "gradient_accumulation_steps": 2,
    },
    {
        "out": "two/embedding",
        "method": "by-task",
        "kind": "embedding",
        "per_device_train_batch_size": 2,
    },
    {
        "out": "two/router",
        "method": "router",
        "per_device_train_batch_size": 2,
        "max_steps": 10,
        "save_strategy": "steps",
        "save_steps": 8,
    },
    # Step 8 lies in the second epoch.
    {
        "out": "two/resumed",
        "method": "router",
        "per_device_train_batch_size": 2,
        "max_steps": 10,
        "save_strategy": "steps",
        "save_steps": 8,
        "resume": True,
        "copy_checkpoint": ["two/router", "checkpoint-8"],
    },
    {"out": "two/sharded", "shard": True, "per_device_train_batch_size": 4},
]
ONE = [
    {"out": "one/by_task", "method": "by-task", "per_device_train_batch_size": 4},
    {"out": "one/strict", "method": "by-task", "per_device_train_batch_size": 8},
    {
        "out": "one/embedding",
        "method": "by-task",
        "kind": "embedding",
        "per_device_train_batch_size": 4,
    },
    {
        "out": "one/router",
        "method": "router",
        "per_device_train_batch_size": 4,
        "max_steps": 10,
    },
    {"out": "one/sharded", "shard": True, "per_device_train_batch_size": 8},
]


def start(*command, root, runs):
    return subprocess.Popen(
        [*command, str(SCRIPT), str(root), json.dumps(runs)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    """Return a folder with all runs, made by one process and by two."""
    folder = tmp_path_factory.mktemp("processes")
    for family in ("llama", "bert"):
        shutil.copytree(root / family, folder / family)
    # --standalone: torchrun finds a free port by itself, also beside other runs.
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    processes = (
        start(*torchrun, "--nproc-per-node=2", root=folder, runs=TWO),
        start(sys.executable, root=folder, runs=ONE),
    )
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-6000:]
    return folder


def difference(left, right):
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["by_task", "strict", "embedding", "router", "sharded"]
)
def test_two_processes_make_the_weights_of_one_with_twice_the_batch(folder, name):
    first, second = (
        load_file(folder / "two" / name / f"rank{rank}.safetensors") for rank in (0, 1)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    alone = load_file(folder / "one" / name / "rank0.safetensors")
    assert difference(first, alone) < TOLERANCE
    assert max(float(value.abs().max()) for value in alone.values()) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["by_task", "embedding", "router"])
def test_two_processes_share_the_evaluation(folder, name):
    one, two = (
        json.loads((folder / many / name / "metrics.json").read_text())
        for many in ("one", "two")
    )
    assert one == two


@pytest.mark.slow
def test_a_run_of_two_processes_resumes_bit_equal(folder):
    whole, resumed = (
        load_file(folder / "two" / name / "adapter" / "adapter_model.safetensors")
        for name in ("router", "resumed")
    )
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    history = json.loads((folder / "two" / "resumed" / "log_history.json").read_text())
    assert [entry["step"] for entry in history if "loss" in entry] == list(range(1, 11))
