"""Several training runs in one process, or in each of those that torchrun started.

Arguments: folder of models and data, and a JSON list of runs: ``out`` (the run folder),
``method`` (``by-task`` or ``router``), ``kind`` of the base, ``resume``, and fields of
the training section. Every process writes its trained parameters to
``rank<r>.safetensors`` in the run folder. ``shard: true`` in place of a method tries
FSDP2 by hand, see :func:`train_sharded`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import small_runs
import torch
from safetensors.torch import save_file

from cotune import ALoRAConfig
from cotune.data import EncodeSpec
from cotune.training import BaseSpec, TrainingSpec, adapt, load_base, run_training

NAMES = ("plain", "flipped", "third")
RANK = os.environ.get("RANK", "0")
# Every process writes its own copy: they run at the same time.
DATA = f"data{os.getpid()}"
TRAINING = {
    "max_steps": 7,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
}


def make_adapter(method: str, kind: str) -> ALoRAConfig:
    target = ["q_proj", "v_proj"] if kind == "causal" else ["query", "value"]
    settings = {"by-task": {"coupling": "by-task", "tasks": list(NAMES)}, "router": {}}
    return ALoRAConfig(r=4, target_modules=target, **settings[method])


def describe(root: Path, kind: str) -> BaseSpec:
    return BaseSpec(
        name=str(root / ("llama" if kind == "causal" else "bert")), kind=kind
    )


def run(root: Path, request: dict) -> None:
    out, method = root / request.pop("out"), request.pop("method")
    kind, resume = request.pop("kind", "causal"), request.pop("resume", False)
    earlier = request.pop("copy_checkpoint", None)
    if earlier is not None and RANK == "0":
        copy_checkpoint(root / earlier[0], out, earlier[1])
    result = run_training(
        describe(root, kind),
        small_runs.make_tasks(root / DATA, NAMES, rows=8),
        make_adapter(method, kind),
        TrainingSpec(**{**TRAINING, **request}),
        out,
        encode=EncodeSpec(max_length=32),
        resume=resume,
    )
    save(result.model, out)


def copy_checkpoint(source: Path, target: Path, name: str) -> None:
    """Make a run folder look as if the run had died after a checkpoint."""
    shutil.copytree(source / "checkpoints" / name, target / "checkpoints" / name)
    shutil.copy(source / "settings.json", target)


def save(model: torch.nn.Module, out: Path) -> None:
    trained = {
        name: whole(p).contiguous()
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(trained, out / f"rank{RANK}.safetensors")


def whole(parameter: torch.Tensor) -> torch.Tensor:
    value = parameter.detach()
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def train_sharded(root: Path, request: dict) -> None:
    """Train three steps of plain SGD, with the model sharded if there are processes.

    accelerate leaves FSDP out on CPUs, so torch's own ``fully_shard`` is applied.
    """
    out, size = root / request["out"], request["per_device_train_batch_size"]
    some = small_runs.make_tasks(root / DATA, NAMES, rows=8)
    encode = EncodeSpec(max_length=32)
    base = load_base(describe(root, "causal"), some, encode=encode)
    torch.manual_seed(0)
    model = adapt(base, make_adapter("by-task", "causal"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        shard(model)
    rows = [row for task in some for row in base.encode(task)]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.5)
    for step in range(3):
        start = step * size * world + int(RANK) * size
        batch = base.collate(rows[start : start + size])
        items = (batch["labels"][:, 1:] != -100).sum()
        if world > 1:
            torch.distributed.all_reduce(items)
        (base.loss(model, batch, items) * world).backward()
        optimizer.step()
        optimizer.zero_grad()
    save(model, out)


def shard(model: torch.nn.Module) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (int(os.environ["WORLD_SIZE"]),))
    for layer in model.get_submodule("base_model.model.model.layers"):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


if __name__ == "__main__":
    folder, requests = sys.argv[1:]
    for one in json.loads(requests):
        (train_sharded if one.pop("shard", False) else run)(Path(folder), one)
