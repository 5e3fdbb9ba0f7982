"""One training run in a process of its own, which may kill itself half-way.

Arguments: folder of models and data, run folder, and optionally ``step <n>`` (dies
after an optimizer step) or ``save <n>`` (dies while it writes checkpoint n).
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import small_runs
import torch
from transformers import TrainerCallback

from cotune import CoLAConfig
from cotune.data import EncodeSpec
from cotune.training import BaseSpec, TrainingSpec, run_training


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DieAfterStep(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step == self.step:
            die()


def die_in_save(step: int) -> None:
    """Make the optimizer's file of one checkpoint end in the middle."""
    whole = torch.save

    def half(content, path, *args, **kwargs):
        if not str(path).endswith(f"checkpoint-{step}/optimizer.pt"):
            return whole(content, path, *args, **kwargs)
        buffer = io.BytesIO()
        whole(content, buffer)
        with open(path, "wb") as file:
            file.write(buffer.getvalue()[: buffer.tell() // 2])
            file.flush()
        return die()

    torch.save = half


def main(root: Path, out: Path, how: str = "", when: str = "0") -> None:
    if how == "save":
        die_in_save(int(when))
    adapter = CoLAConfig(
        r=4,
        num_A=2,
        num_B=2,
        coupling="random",
        lora_dropout=0.2,
        target_modules=["q_proj", "v_proj"],
    )
    training = TrainingSpec(
        max_steps=18,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=1e-2,
        loraplus_lr_ratio=4.0,
        weight_decay=0.01,
        warmup_steps=2,
        save_strategy="steps",
        save_steps=5,
        eval_steps=5,
        logging_steps=3,
        use_cpu=True,
        disable_tqdm=True,
    )
    run_training(
        BaseSpec(name=str(root / "llama")),
        small_runs.make_tasks(root / "data"),
        adapter,
        training,
        out,
        encode=EncodeSpec(max_length=32),
        resume=True,
        callbacks=[DieAfterStep(int(when))] if how == "step" else [],
    )


if __name__ == "__main__":
    folder, out, *rest = sys.argv[1:]
    main(Path(folder), Path(out), *rest)
