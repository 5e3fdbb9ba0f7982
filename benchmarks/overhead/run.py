"""How much slower is a training step with an adapter than without one?

Floor: the same frozen model, forward and backward through the activations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from benchmarks.harness import (
    base_model,
    figure,
    paired_ratios,
    parser,
    publish,
    read_arguments,
    twin,
)
from benchmarks.published import (
    PublishedALoRA,
    PublishedCoLA,
    PublishedHydra,
    replace_linears,
)
from cotune import CoTuneConfig

QUESTION = "Step time with an adapter / step time of the frozen model"
TASKS = [f"task{i}" for i in range(8)]
OURS = {
    "lora": ({"method": "lora"}, 1.07),
    "cola full (2,3), kaiming": ({"method": "cola", "start": "kaiming"}, 1.10),
    "cola full (2,3), pissa": ({"method": "cola", "start": "pissa"}, 1.12),
    "cola random (2,3)": (
        {"method": "cola", "coupling": "random", "start": "kaiming"},
        None,
    ),
    "colora, 8 tasks": ({"method": "colora", "tasks": TASKS}, 1.10),
    "alora (3)": ({"method": "alora"}, 1.12),
    "hydralora (3)": ({"method": "hydralora"}, 1.12),
    "moelora (3)": ({"method": "moelora"}, None),
    "alora by task, 8 tasks": (
        {"method": "alora", "coupling": "by-task", "tasks": TASKS},
        None,
    ),
    "dual, 8 tasks": ({"method": "dual", "tasks": TASKS}, None),
    "mtl, 8 tasks": ({"method": "mtl", "tasks": TASKS}, None),
}
PUBLISHED = {
    "CoLA (2,3)": (PublishedCoLA, 2, 3, "cola full (2,3), kaiming", 2.5),
    "ALoRA (3)": (PublishedALoRA, 3, 1, "alora (3)", 1.8),
    "HydraLoRA (3)": (PublishedHydra, 1, 3, "hydralora (3)", 1.25),
    "HydraLoRA (8)": (PublishedHydra, 1, 8, "hydralora (8)", 1.8),
}


def step(model: nn.Module, embeds: Tensor, labels: Tensor, **kwargs: object) -> None:
    """Run one forward and backward pass, without an optimizer."""
    model(
        inputs_embeds=embeds, labels=labels, use_cache=False, **kwargs
    ).loss.backward()
    model.zero_grad(set_to_none=True)
    embeds.grad = None


def ours(base: nn.Module, **fields: object) -> nn.Module:
    """Return a twin of the base with one of our adapters, B drawn at random."""
    config = CoTuneConfig(
        r=8,
        lora_alpha=16,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        init_weights=False,
        **fields,
    )
    return get_peft_model(twin(base), config).train()


def arms(
    base: nn.Module, embeds: Tensor, labels: Tensor, wanted: str
) -> dict[str, Callable[[], None]]:
    """Return all steps to time, by name."""
    run = partial(step, embeds=embeds, labels=labels)
    lora = LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    made = {"PEFT LoRA": partial(run, get_peft_model(twin(base), lora).train())}
    for name, (fields, _) in OURS.items():
        more = {"tasks": TASKS} if "tasks" in fields else {}
        made[name] = partial(run, ours(base, **fields), **more)
    if wanted == "all":
        made["hydralora (8)"] = partial(run, ours(base, method="hydralora", num_B=8))
        for name, (layer, M, N, _, _) in PUBLISHED.items():
            make = partial(layer, M=M, N=N, r=8, alpha=16)
            made[f"published {name}"] = partial(run, replace_linears(twin(base), make))
    return made


def main() -> None:
    """Measure, print, write."""
    parse = parser(QUESTION)
    parse.add_argument("--arms", default="all", choices=["all", "ours"])
    args = read_arguments(parse, __file__)
    torch.set_num_threads(args.threads)
    base = base_model(args.shape, args.device)
    hidden = base.config.hidden_size
    kind = {"device": args.device, "dtype": base.dtype}
    embeds = torch.randn(8, 128, hidden, **kind).mul_(0.02).requires_grad_()
    labels = torch.randint(1000, (8, 128), device=args.device)
    floor = partial(step, twin(base), embeds, labels)
    steps = arms(base, embeds, labels, args.arms)
    ratios = paired_ratios(floor, steps, pairs=args.pairs, device=args.device)
    gpu = args.device != "cpu"
    figures = [figure("PEFT LoRA", ratios["PEFT LoRA"])]
    for name, (_, mark) in OURS.items():
        figures.append(figure(name, ratios[name], 1.10 if gpu and mark else mark))
    for name, (_, _, _, mine, mark) in PUBLISHED.items() if args.arms == "all" else ():
        pairs = zip(ratios[f"published {name}"], ratios[mine], strict=True)
        gain = [theirs / own for theirs, own in pairs]
        label = f"published {name} / ours"
        figures.append(figure(label, gain, mark, at_most=False))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
