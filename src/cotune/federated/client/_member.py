"""What a client does with an order. Reads top-down as what happens in the house.

Only :func:`carry_out` returns something that is sent: ``upload`` picks the shared roles
out of all factors, and numbers go along. Rows, private factors and texts stay.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ...data import Task, get_part
from ...training import Base, TrainingSpec, build_arguments, score_task
from ...training._evaluate import choose_parts
from .._ownership import (
    freeze_roles,
    read_packet,
    read_private,
    write_layers,
    write_private,
)
from .._plan import STRIDE, Plan
from .._wire import SCORES, Order
from ..aggregation import Packet
from ._bases import lend_model
from ._fold import Folds, add_folds, folded
from ._house import House
from ._keep import Kept, keep, load_kept
from ._personal import write_personal
from ._private_training import Account, train_privately

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class Outcome:
    """All that leaves the client after an order.

    Args:
        packet: The shared factors; empty if the order was to score or to fit.
        examples: Training rows, the client's weight.
        numbers: Scores and seconds.
    """

    packet: Packet
    examples: int
    numbers: Mapping[str, float]


def carry_out(order: Order, house: House) -> Outcome:
    """Load, fold, score, train, score, keep the private part, return the shared one.

    Args:
        order: What the server asks for.
        house: The client.

    Returns:
        What is sent.

    Raises:
        ConfigError: The recipe does not fit the client's model or rows.
        StateLost: The private factors that the order builds on are gone.
    """
    plan, client = house.plan, house.client
    begin = time.monotonic()
    task = plan.read_task(client)
    store = house.store(order.experiment)
    kept = load_kept(plan, store, order.base)
    seed = _start_seed(order, house)
    with lend_model(plan, rank=client.rank, task=task, seed=seed) as (base, model):
        folds = _take_in(model, order, house, kept)
        with folded(model, folds):
            _place(model, plan)
            numbers, account = _work(order, house, base, model, task, kept)
            if order.todo == "score":
                write_personal(model, folds, store.folder / "adapter")
            else:
                now = Kept(read_private(model, plan.method), folds, account)
                keep(plan, store, order.round, order.base, now)
        packet = plan.method.upload(read_packet(model))
    if order.todo != "train":
        packet = Packet({}, packet.scale)
    numbers["seconds"] = time.monotonic() - begin
    return Outcome(packet, len(task.train), numbers)


def _start_seed(order: Order, house: House) -> int:
    """Return the seed of a fresh adapter: one for all, but where pairs are redrawn.

    A stack of pairs that all begin alike would span no more than one of them does.
    """
    plan = house.plan
    if not plan.method.restart:
        return plan.training.seed
    number = plan.clients.index(house.client)
    return plan.training.seed + STRIDE * (order.round - 1) + number


def _take_in(model: PeftModel, order: Order, house: House, kept: Kept) -> Folds:
    """Put private and shared factors into the model; return what is folded so far."""
    plan, client = house.plan, house.client
    method, seat = plan.method, plan.seat(client)
    write_private(model, kept.private)
    folds = kept.folds
    for packet in order.states.values():
        received = method.receive(packet, seat)
        folds = add_folds(folds, received.fold)
        write_layers(model, received.layers)
    frozen = method.frozen + (method.shared if order.todo == "fit" else ())
    freeze_roles(model, frozen)
    return folds


def _work(
    order: Order, house: House, base: Base, model: PeftModel, task: Task, kept: Kept
) -> tuple[dict[str, float], Account]:
    """Score what came in, train, score what came out; return the privacy spent too."""
    plan = house.plan
    numbers: dict[str, float] = {}
    account = kept.account
    if order.score:
        numbers |= _score(SCORES[0], plan, base, model, task)
    if order.todo == "score":
        return numbers, account
    spec = plan.training_in(order.round, quick=order.todo == "fit")
    privacy = plan.spec.privacy.local
    if privacy is None:
        train_locally(base, model, task, spec)
    else:
        account, epsilon = train_privately(
            base, model, task, spec, privacy, account, name=house.client.name
        )
        numbers["epsilon"] = epsilon
    if order.score:
        numbers |= _score(SCORES[1], plan, base, model, task)
    return numbers, account


def _score(
    name: str, plan: Plan, base: Base, model: PeftModel, task: Task
) -> dict[str, float]:
    if task.test is None and task.validation is None:
        return {}
    part = choose_parts([task])[task.name]
    score, _ = score_task(model, base, task, part, plan.evaluation)
    return {name: score, "rows": float(len(get_part(task, part)))}


def train_locally(base: Base, model: PeftModel, task: Task, spec: TrainingSpec) -> None:
    """Train as one machine does, and leave no file behind.

    Args:
        base: How rows become batches and losses.
        model: Changed in place.
        task: The client's rows.
        spec: How.
    """
    from transformers import PrinterCallback

    from ...training import CoTuneTrainer

    with TemporaryDirectory(prefix="cotune-") as folder:
        trainer = CoTuneTrainer(
            model,
            build_arguments(spec, Path(folder)),
            base=base,
            tasks=[task],
            lr_ratios=spec.lr_ratios,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def _place(model: PeftModel, plan: Plan) -> None:
    """Move the model to where the Trainer will have it."""
    from accelerate import PartialState

    if plan.base.device_map is None and plan.base.quantization is None:
        model.to(PartialState(cpu=plan.training.use_cpu).device)
