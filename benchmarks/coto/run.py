"""How much of the compute that a CoTo mask allows to save is saved?

Allowed: what a model costs that never had adapters on the blocks that are off, and no
backward pass below its lowest adapter. Saved: what the switch reaches on a model with
adapters on all blocks. Share = 1 - (masked / allowed - 1) / (full / allowed - 1).

Each mask isolates one saving: with the first block on only adapters are saved, with the
last one on most of it is the backward pass below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaForCausalLM

from benchmarks.harness import (
    Figure,
    base_model,
    figure,
    paired_ratios,
    parser,
    publish,
    read_arguments,
    twin,
)
from cotune import CoTuneConfig
from cotune.schedules import CoTo, Switch
from cotune.schedules._inputs import free_inputs

QUESTION = "Share of the compute that a CoTo mask allows to save"
MARK = 0.9
LINEARS = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()
KINDS: dict[str, Callable[..., PeftConfig]] = {
    "PEFT LoRA": LoraConfig,
    "PEFT DoRA": partial(LoraConfig, use_dora=True),
    "ours, lora": partial(CoTuneConfig, method="lora"),
    "ours, cola (2,3) pissa": partial(CoTuneConfig, method="cola"),
}


def adapt(
    base: LlamaForCausalLM, kind: str, blocks: Sequence[int] | None = None
) -> nn.Module:
    """Return a twin of the base with adapters on some blocks, or on all."""
    config = KINDS[kind](
        r=8,
        lora_alpha=16,
        target_modules=LINEARS,
        task_type="CAUSAL_LM",
        layers_to_transform=None if blocks is None else list(blocks),
    )
    return get_peft_model(twin(base), config).train()


def step(model: nn.Module, tokens: Tensor) -> None:
    """Run one forward and backward pass, without an optimizer."""
    model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    model.zero_grad(set_to_none=True)


def masked(
    model: nn.Module, switch: Switch, blocks: Sequence[int], tokens: Tensor
) -> None:
    """Run one step with only these blocks on."""
    mask = {group.name: i in blocks for i, group in enumerate(switch.groups)}
    with switch.applied(mask):
        step(model, tokens)


def checkpoint(model: nn.Module) -> nn.Module:
    """Turn gradient checkpointing on, as transformers does it by default."""
    model.base_model.model.activation_checkpointing_enable()  # type: ignore[operator]
    return model


def share_of_time(
    name: str,
    full: nn.Module,
    alone: nn.Module,
    blocks: Sequence[int],
    tokens: Tensor,
    pairs: int,
    device: str,
) -> Figure:
    """Time a masked step against the allowed one and the full one, in pairs."""
    switch = Switch(full)
    arms = {
        "masked": partial(masked, full, switch, blocks, tokens),
        "full": partial(step, full, tokens),
    }
    reference = partial(step, alone, tokens)
    ratios = paired_ratios(reference, arms, pairs=pairs, device=device)
    room = figure("", ratios["full"]).value - 1
    shares = [1 - (ratio - 1) / room for ratio in ratios["masked"]]
    note = f"the mask allows to save {room / (1 + room):.1%} of the full step"
    return figure(name, shares, MARK, at_most=False, note=note)


def share_of_operations(base: LlamaForCausalLM, kind: str, tokens: Tensor) -> Figure:
    """Count the operations of a whole run's masks; exact, without a clock."""
    full, alone = adapt(base, kind), {}
    switch = Switch(full)
    everything = operations(partial(step, full, tokens))
    saved = allowed = 0
    schedule, total = CoTo(), 24
    for number in range(total):
        mask = schedule.mask(number, total, switch.groups)
        blocks = tuple(i for i, on in enumerate(mask.values()) if on)
        if blocks not in alone:
            alone[blocks] = operations(partial(step, adapt(base, kind, blocks), tokens))
        spent = operations(partial(masked, full, switch, blocks, tokens))
        saved += everything - spent
        allowed += everything - alone[blocks]
    share = saved / allowed
    part = allowed / (total * everything)
    note = f"a run of {total} steps; the masks allow to save {part:.1%} of it"
    return Figure(
        f"{kind}: operations of a run", share, share, share, MARK, False, note
    )


def operations(run: Callable[[], None]) -> int:
    """Count the operations of the products in a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def main() -> None:
    """Measure, print, write."""
    parse = parser(QUESTION)
    parse.add_argument("--rows", type=int, help="rows of 128 tokens")
    args = read_arguments(parse, __file__)
    torch.set_num_threads(args.threads)
    base = base_model(args.shape, args.device)
    last = base.config.num_hidden_layers - 1
    masks = {
        "adapters only (first block on)": [0],
        "backward below (last block on)": [last],
        "both (two middle blocks on)": [last // 2, last - 1],
    }
    tokens = torch.randint(1000, (args.rows, 128), device=args.device)
    measure = partial(
        share_of_time, tokens=tokens, pairs=args.pairs, device=args.device
    )
    figures = []
    for kind in KINDS:
        figures.append(share_of_operations(base, kind, tokens[:1, :16]))
        full = adapt(base, kind)
        for name, blocks in masks.items():
            alone = adapt(base, kind, blocks)
            figures.append(measure(f"{kind}: {name}", full, alone, blocks))
    kind = "PEFT LoRA"
    full = checkpoint(adapt(base, kind))
    free_inputs(full)
    alone = checkpoint(adapt(base, kind, [last]))
    alone.base_model.model.disable_input_require_grads()
    name = f"{kind}, checkpointing: backward below (last block on)"
    figures.append(measure(name, full, alone, [last]))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
