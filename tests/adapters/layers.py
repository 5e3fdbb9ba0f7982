"""Single layers with one adapter, for every combination that the tables allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cotune.adapters import (
    CORES,
    COUPLINGS,
    METHODS,
    STARTS,
    CollaborativeLayer,
    CoTuneConfig,
)
from cotune.adapters._tasks import TaskState
from helpers import fill_factors

TASKS = ["art", "bio", "law"]
D_IN, D_OUT, RANK = 12, 10, 3


@dataclass(frozen=True)
class Case:
    """One combination, with a readable name."""

    name: str
    fields: dict[str, Any] = field(hash=False)

    def config(self, **changes: Any) -> CoTuneConfig:
        """Return its config; per-task parts get three tasks."""
        values = {"r": RANK, "lora_alpha": 5, "tasks": list(TASKS), **self.fields}
        return CoTuneConfig(**{**values, **changes})

    def __str__(self) -> str:
        return self.name


# Sizes that say more than the default ones: more A than B, and each form of a router.
SIZES: dict[str, list[tuple[int | str, int | str]]] = {
    "full": [(1, 1), (2, 3), (3, 2)],
    "random": [(2, 3), (3, 2)],
    "random-reversed": [(2, 3), (3, 2)],
    "heuristic-paper": [(2, 2), (2, 4)],
    "heuristic-code": [(3, 3), (2, 5)],
    "learned": [(2, 3), (3, 2), (1, 1)],
    "router": [(3, 1), (1, 3), (3, 3)],
    "by-task": [("tasks", 1), (1, "tasks"), ("tasks", "tasks")],
}
CORE_NAMES = ("none", *CORES)
COPY_FORMS = ("kaiming", "pissa", "pissa-split")
"""Starts without frozen copies, with one of each, and with one per factor."""


def method_cases() -> list[Case]:
    """Return every line of the method table."""
    return [Case(name, {"method": name}) for name in METHODS]


def coupling_cases(
    cores: Sequence[str] = CORE_NAMES, starts: Sequence[str] = tuple(STARTS)
) -> list[Case]:
    """Return every coupling in all its sizes, with cores and starts."""
    cases = []
    for coupling in COUPLINGS:
        sizes = SIZES.get(coupling) or [COUPLINGS[coupling].default_sizes or (2, 3)]
        for num_A, num_B in sizes:
            for core in cores:
                for start in starts:
                    fields = {
                        "coupling": coupling,
                        "num_A": num_A,
                        "num_B": num_B,
                        "core": core,
                        "start": start,
                        # pissa-split needs r * max(M, N) directions.
                        "r": 2,
                    }
                    name = f"{coupling}-{num_A}x{num_B}-{core}-{start}"
                    cases.append(Case(name, fields))
    return cases


def plain_base(kind: str = "linear", seed: int = 0, bias: bool = True) -> nn.Module:
    """Make a random frozen base layer, D_IN to D_OUT, in fp64."""
    dice = torch.Generator().manual_seed(seed)
    if kind == "linear":
        base: nn.Module = nn.Linear(D_IN, D_OUT, bias=bias)
    else:
        base = Conv1D(D_OUT, D_IN)
    with torch.no_grad():
        for parameter in base.parameters():
            noise = torch.randn(parameter.shape, generator=dice)
            parameter.copy_(noise * 0.3)
    return base.double().requires_grad_(False)


def make_layer(
    case: Case | CoTuneConfig,
    *,
    base: nn.Module | None = None,
    filled: bool = True,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    **changes: Any,
) -> CollaborativeLayer:
    """Put one adapter on a base layer.

    Args:
        case: What to build.
        base: The base layer; None makes a random linear one.
        filled: Give all factors random values, frozen copies too; else leave the start.
        dtype: Of base and adapter.
        seed: Of all random numbers.
        **changes: Fields of the config to set.
    """
    config = case.config(**changes) if isinstance(case, Case) else case
    base = plain_base(seed=seed) if base is None else base
    torch.manual_seed(seed)
    layer = CollaborativeLayer(
        base, "default", config, config.r, config.lora_alpha, TaskState()
    )
    layer = layer.to(dtype)
    if filled:
        fill_factors(layer, seed + 1)
        dice = torch.Generator().manual_seed(seed + 2)
        with torch.no_grad():
            for copies in (layer.cotune_A0, layer.cotune_B0):
                for value in copies.values():
                    noise = torch.randn(value.shape, generator=dice) * 0.3
                    value.copy_(noise.to(value))
    return layer.eval()


def batch_of(
    layer: CollaborativeLayer,
    samples: int = 3,
    tokens: int = 2,
    seed: int = 7,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, list[int]]:
    """Return random inputs (samples, tokens, d_in), and a task row per sample."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, tokens, layer.in_features, generator=dice).to(dtype)
    return x, torch.randint(len(TASKS), (samples,), generator=dice).tolist()


def with_fast(layer: CollaborativeLayer, fast: str) -> CollaborativeLayer:
    """Switch the fast way on or off."""
    layer.specs["default"].config.fast = fast
    return layer


def trained(layer: CollaborativeLayer) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {n: p for n, p in layer.named_parameters() if p.requires_grad}


def relative_error(got: Tensor, wanted: Tensor) -> float:
    """Return ||got - wanted|| / ||wanted||, in fp64."""
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())
