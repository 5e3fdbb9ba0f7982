"""One training run, alone or as one of several processes that torchrun started.

Arguments: folder of models and data, run folder, and a JSON object: ``method`` (a name
or ``lora`` of PEFT), ``kind`` of the base, and fields of the training section. Every
process writes the sums of its trained parameters to ``rank<r>.json``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import small_runs
from peft import LoraConfig

from cotune import ALoRAConfig
from cotune.data import EncodeSpec
from cotune.training import BaseSpec, TrainingSpec, run_training

NAMES = ("plain", "flipped", "third")


def make_adapter(method: str, kind: str):
    target = ["q_proj", "v_proj"] if kind == "causal" else ["query", "value"]
    if method == "peft-lora":
        return LoraConfig(r=4, target_modules=target)
    settings = {"by-task": {"coupling": "by-task", "tasks": list(NAMES)}, "router": {}}
    return ALoRAConfig(r=4, target_modules=target, **settings[method])


def main(root: Path, out: Path, request: dict) -> None:
    method, kind = request.pop("method"), request.pop("kind", "causal")
    resume = request.pop("resume", False)
    training = {
        "max_steps": 7,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    result = run_training(
        BaseSpec(name=str(root / ("llama" if kind == "causal" else "bert")), kind=kind),
        small_runs.make_tasks(
            root / "data" / os.environ.get("RANK", "0"), NAMES, rows=8
        ),
        make_adapter(method, kind),
        TrainingSpec(**{**training, **request}),
        out,
        encode=EncodeSpec(max_length=32),
        resume=resume,
    )
    sums = {
        name: [float(p.double().sum()), float(p.double().abs().sum())]
        for name, p in result.model.named_parameters()
        if p.requires_grad
    }
    rank = os.environ.get("RANK", "0")
    (out / f"rank{rank}.json").write_text(json.dumps(sums))


if __name__ == "__main__":
    folder, out, request = sys.argv[1:]
    main(Path(folder), Path(out), json.loads(request))
