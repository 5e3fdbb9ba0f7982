"""How much memory does a training step take against PEFT LoRA of the same rank?

The highest sum of what a step allocates, weights left out: on a CPU from the profiler's
record of every allocation, on a GPU from the allocator.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.harness import Figure, base_model, parser, publish, read_arguments, twin
from benchmarks.overhead.run import OURS, TASKS, ours, step

QUESTION = "Memory of a training step / that of PEFT LoRA"


def profiled_peak(model: nn.Module, run: partial[None]) -> int:
    """Return the highest sum of allocations during the step, from the profiler."""
    run(model)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run(model)
    now = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def peak_bytes(model: nn.Module, run: partial[None]) -> int:
    """Return the allocator's peak above what lies there before the step."""
    run(model)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(model)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    """Measure, print, write."""
    args = read_arguments(parser(QUESTION), __file__)
    base = base_model(args.shape, args.device)
    kind = {"device": args.device, "dtype": base.dtype}
    embeds = torch.randn(8, 128, base.config.hidden_size, **kind).requires_grad_()
    labels = torch.randint(1000, (8, 128), device=args.device)
    measure = profiled_peak if args.device == "cpu" else peak_bytes
    run = partial(step, embeds=embeds, labels=labels)
    config = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    theirs = measure(get_peft_model(twin(base), config).train(), run)
    figures = []
    for name, (fields, _) in OURS.items():
        more = {"tasks": TASKS} if "tasks" in fields else {}
        ratio = measure(ours(base, **fields), partial(run, **more)) / theirs
        figures.append(Figure(name, ratio, ratio, ratio, 1.0))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
