"""A killed run, started again, ends with the same bits as one never killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cotune.training import find_last
from cotune.training._checkpoints import STAGING

SCRIPT = Path(__file__).with_name("killed_run.py")


def start(root, out, *how):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(root), str(out), *how],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, code=0):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors[-4000:]


@pytest.mark.slow
def test_a_run_killed_in_an_epoch_and_in_a_save_resumes_bit_equal(root, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    reference = start(root, whole)
    # Dies in the second epoch, three steps after a checkpoint.
    end(start(root, killed, "step", "8"), -signal.SIGKILL)
    checkpoints = killed / "checkpoints"
    assert find_last(checkpoints) == checkpoints / "checkpoint-5"

    # Goes on, and dies in the middle of writing checkpoint 10.
    end(start(root, killed, "save", "10"), -signal.SIGKILL)
    assert (checkpoints / STAGING / "checkpoint-10" / "optimizer.pt").exists()
    assert find_last(checkpoints) == checkpoints / "checkpoint-5"

    end(start(root, killed))
    end(reference)
    assert_same_bits(whole, killed)
    assert (killed / "metrics.json").read_text() == (whole / "metrics.json").read_text()
    assert not (checkpoints / STAGING).exists()


def assert_same_bits(left, right):
    for name in ("adapter", "checkpoints/checkpoint-18"):
        one, other = (
            load_file(folder / name / "adapter_model.safetensors")
            for folder in (left, right)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    earlier = load_file(left / "checkpoints/checkpoint-15/adapter_model.safetensors")
    assert any(not torch.equal(earlier[key], one[key]) for key in one)
    states = [
        torch.load(
            folder / "checkpoints/checkpoint-18/optimizer.pt", weights_only=True
        )["state"]
        for folder in (left, right)
    ]
    for number, state in states[0].items():
        for key, value in state.items():
            assert torch.equal(value, states[1][number][key]), (number, key)
