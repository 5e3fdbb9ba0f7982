"""One of two processes of a DDP run; started by test_callback_ddp."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from cotune.schedules import CoTo, CoToCallback
from schedules.models import adapted, lora_config, method_config
from schedules.test_callback import Watcher, checkpointing, trainer_for


def main(case: str, folder: Path) -> None:
    """Train and write what this rank saw."""
    name = case.partition("-")[0]
    config = lora_config() if name == "peft" else method_config(name)
    model, _ = adapted(config)
    watcher = Gradients(model)
    rows: list[float] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(float(kwargs["input_ids"].sum())),
        with_kwargs=True,
    )
    callback = CoToCallback(CoTo(), save_to=folder / "activation.json")
    changes = checkpointing(False) if case.endswith("checkpointed") else {}
    trainer = trainer_for(model, folder, callback, watcher, **changes)
    trainer.train()
    report = {
        "world": torch.distributed.get_world_size(),
        "masks": [list(on) for _, _, on in watcher.seen[::2]],
        "moved": [list(moved.values()) for moved in watcher.moved],
        "gradients": watcher.gradients,
        "weights": [
            p.detach().double().sum().item().hex()
            for p in model.parameters()
            if p.requires_grad
        ],
        "rows": rows,
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(report))


class Gradients(Watcher):
    """Sees which groups have gradients when the optimizer begins its step."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model)
        self.gradients: list[list[bool]] = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        """Look at the gradients."""
        groups = [self.switch.factors(group.name) for group in self.switch.groups]
        self.gradients.append([any(p.grad is not None for p in g) for g in groups])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
