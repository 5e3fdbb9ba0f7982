"""The base model of a process: loaded once, lent to one client after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from transformers import set_seed

from ...data import Task
from ...training import Base, adapt, load_base
from .._any_rank import make_any_rank
from .._ownership import ADAPTER, layers_of
from .._plan import Plan
from ..aggregation._fed_alora_any import FedALoRAAny

if TYPE_CHECKING:
    from peft import PeftModel

_KEPT: dict[str, Base] = {}
"""At most one base, by what the recipe says of it."""


@contextmanager
def lend_model(
    plan: Plan, *, rank: int, task: Task | None, seed: int
) -> Iterator[tuple[Base, PeftModel]]:
    """Put a fresh adapter around the base, and take it off again.

    In a deployment every message has a process of its own, so the base is loaded once
    per message; in a simulation, once per worker.

    Args:
        plan: What the federation computes.
        rank: Of the adapter.
        task: The client's task; None on the server, which has no rows.
        seed: Of the start of the factors, the same for all clients.

    Yields:
        The base, and the model with the adapter, in evaluation mode.
    """
    name = "client" if task is None else task.name
    # Also before the base is loaded: the head of a classifier is drawn there.
    set_seed(seed)
    base = replace(_take(plan, task, name), names=(name,))
    checkpointing = plan.training.gradient_checkpointing
    set_seed(seed)
    model = adapt(base, plan.adapter_at(rank, name), checkpointing=checkpointing)
    if isinstance(plan.method, FedALoRAAny):
        make_any_rank(layers_of(model), ADAPTER, plan.method.width)
    yield base, cast("PeftModel", model.eval())
    # Not in a `finally`: after an error nobody knows what state it is in.
    if _can_stay(plan):
        base.model.eval()
        model.unload()
        _KEPT[_key(plan)] = base


def _take(plan: Plan, task: Task | None, name: str) -> Base:
    """Take the base that is there, or load it."""
    kept = _KEPT.pop(_key(plan), None)
    if kept is not None:
        return kept
    _KEPT.clear()
    tasks = [] if task is None else [task]
    return load_base(plan.base, tasks, encode=plan.encode, names=(name,))


def _can_stay(plan: Plan) -> bool:
    """Whether taking the adapter off gives the base back as it was."""
    changed = plan.base.quantization is not None or plan.adapter.modules_to_save
    return plan.base.kind != "classifier" and not changed


def _key(plan: Plan) -> str:
    return plan.base.model_dump_json() + plan.encode.model_dump_json()
