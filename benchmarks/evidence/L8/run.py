"""How many operations does a run with CoTo save? Counted, without a clock."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.coto.run import KINDS, adapt, masked, operations, step
from benchmarks.evidence.arms import COTO, LORA
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_by_rule, part_of
from benchmarks.harness import base_model
from cotune.schedules import CoTo, Switch


def measure(bench: Bench) -> Measured:
    """Count the products of all steps of a run, with every mask of its schedule."""
    base = base_model("cpu", "cpu")
    tokens = torch.randint(1000, (1, 16), generator=torch.Generator().manual_seed(0))
    parts: list[Part] = []
    for kind in KINDS:
        saved = _saved(adapt(base, kind), tokens, bench.options["steps"])
        what = f"{kind}: share of the operations saved"
        parts.append(part_by_rule(what, saved, "> 0", saved > 0))
        bench.report(f"{what}: {saved:.3f}")
    arms = bench.run(bench.options["setting"], [LORA, COTO]).arms
    pairs = zip(arms[COTO.name].cells, arms[LORA.name].cells, strict=True)
    ratios = [coto.seconds / lora.seconds for coto, lora in pairs]
    what = "training time on a busy machine: CoTo / LoRA"
    parts.append(part_of(what, ratios, 1.0, less=True, counts=False))
    return Measured(parts)


def _saved(model: torch.nn.Module, tokens: torch.Tensor, total: int) -> float:
    """Return the share of a run's operations that CoTo leaves out."""
    switch, schedule = Switch(model), CoTo()
    everything = operations(partial(step, model, tokens))
    spent: dict[tuple[int, ...], int] = {}
    run = 0
    for number in range(total):
        mask = schedule.mask(number, total, switch.groups)
        blocks = tuple(place for place, on in enumerate(mask.values()) if on)
        if blocks not in spent:
            spent[blocks] = operations(partial(masked, model, switch, blocks, tokens))
        run += spent[blocks]
    return 1 - run / (total * everything)


if __name__ == "__main__":
    main(__file__, measure)
