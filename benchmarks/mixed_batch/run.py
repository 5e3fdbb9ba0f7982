"""What does a batch with many tasks cost, against PEFT's way and as tasks grow?

PEFT's way: one adapter per task, ``set_adapter`` and a sub-batch for each.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from benchmarks.harness import (
    SHAPES,
    base_model,
    figure,
    paired_ratios,
    parser,
    publish,
    read_arguments,
    twin,
)
from cotune import CoTuneConfig

QUESTION = "Mixed batches: our step against PEFT's way, and against one task"
SMALL = {**SHAPES["cpu"], "hidden_size": 256, "intermediate_size": 688}
SHAPES["small"] = {**SMALL, "num_hidden_layers": 4, "num_attention_heads": 8}
SHAPES["small"]["num_key_value_heads"] = 8
KINDS = {
    "colora": {"method": "colora"},
    "alora by task": {"method": "alora", "coupling": "by-task"},
}


def ours(base: LlamaForCausalLM, tasks: int, **fields: object) -> PeftModel:
    """Return one bank with the wanted number of tasks on the q and v projections."""
    config = CoTuneConfig(
        r=8,
        target_modules=["q_proj", "v_proj"],
        task_type="CAUSAL_LM",
        tasks=[f"t{i}" for i in range(tasks)],
        init_weights=False,
        **fields,
    )
    return get_peft_model(twin(base), config).train()


def peft_way(base: LlamaForCausalLM, tasks: int) -> PeftModel:
    """Return one PEFT LoRA per task on the same projections."""
    config = LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(twin(base), config, adapter_name="t0")
    for i in range(1, tasks):
        model.add_adapter(f"t{i}", config)
    return model.train()


def mixed_step(model: nn.Module, ids: Tensor, tasks: Tensor) -> None:
    """Run one batch with a task per row."""
    model(ids, labels=ids, tasks=tasks).loss.backward()
    model.zero_grad(set_to_none=True)


def split_step(model: PeftModel, ids: Tensor, tasks: int) -> None:
    """Run one sub-batch per task, each with its own adapter."""
    for i, part in enumerate(ids.chunk(tasks)):
        model.set_adapter(f"t{i}")
        (model(part, labels=part).loss / tasks).backward()
    model.zero_grad(set_to_none=True)


def main() -> None:
    """Measure, print, write."""
    args = read_arguments(parser(QUESTION), __file__)
    torch.set_num_threads(args.threads)
    base = base_model(args.shape, args.device)
    time = partial(paired_ratios, pairs=args.pairs, device=args.device)
    ids = torch.randint(1000, (16, 64), device=args.device)
    rows = torch.arange(16, device=args.device) // 2
    figures = []
    theirs = {"PEFT": partial(split_step, peft_way(base, 8), ids, 8)}
    for name, fields in KINDS.items():
        step = partial(mixed_step, ours(base, 8, **fields), ids, rows)
        label = f"8 tasks: PEFT's way / {name}"
        ratios = time(step, theirs)["PEFT"]
        figures.append(figure(label, ratios, 1.6, at_most=False))
    ids = torch.randint(1000, (256, 16), device=args.device)
    for name, fields in KINDS.items():
        one = ours(base, 1, **fields)
        alone = torch.zeros(256, dtype=torch.int64, device=args.device)
        arms = {}
        for count in (8, 64, 256):
            rows = torch.arange(256, device=args.device) % count
            arms[str(count)] = partial(
                mixed_step, ours(base, count, **fields), ids, rows
            )
        ratios = time(partial(mixed_step, one, ids, alone), arms)
        for count, values in ratios.items():
            mark = 1.25 if count != "256" else None
            figures.append(figure(f"{name}: {count} tasks / 1 task", values, mark))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
