"""Check T3 with two processes: same masks, same weights, untouched where off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
WORKER = Path(__file__).with_name("ddp_worker.py")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["peft-lora", "cola-checkpointed", "colora"])
def test_two_processes_draw_the_same_masks_and_end_with_the_same_weights(
    case, tmp_path
):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*launch, "--nproc-per-node=2", str(WORKER), case, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert [rank["world"] for rank in ranks] == [2, 2]
    assert ranks[0]["masks"] == ranks[1]["masks"]
    assert ranks[0]["weights"] == ranks[1]["weights"]
    # Each rank saw other rows, so equal weights mean that gradients were shared.
    assert ranks[0]["rows"] != ranks[1]["rows"]
    for rank in ranks:
        assert rank["moved"] == rank["masks"] == rank["gradients"]
        assert any(not all(mask) for mask in rank["masks"])
    assert (tmp_path / "activation.json").exists()
