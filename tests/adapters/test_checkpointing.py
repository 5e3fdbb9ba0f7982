"""Backward passes that call layers again, which must be told the same tasks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapters.models import (
    PER_TASK,
    TASKS,
    adapted,
    config_of,
    generate,
    grid,
)
from cotune import mixed_training, use_tasks
from helpers import fill_factors, logits, tiny_batch

MIXED = ["law", "art", "law", "bio"]


class Boom(Exception):
    pass


def grads_of(model: nn.Module) -> dict[str, Tensor]:
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert all(grad is not None for grad in found.values())
    model.zero_grad(set_to_none=True)
    return {name: grad for name, grad in found.items() if grad is not None}


def same_gradients(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    assert list(got) == list(wanted)
    return all(
        torch.allclose(got[name], wanted[name], rtol=1e-5, atol=1e-6) for name in got
    )


def checkpointed(model: nn.Module, reentrant: bool) -> None:
    how = {"use_reentrant": reentrant}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)  # pyright: ignore
    model.enable_input_require_grads()  # pyright: ignore


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not"])
@pytest.mark.parametrize(("method", "family"), grid(PER_TASK))
def test_gradient_checkpointing_changes_no_gradient(
    method: str, family: str, reentrant: bool
) -> None:
    batch = tiny_batch(family)
    model = adapted(method, family, lora_dropout=0.2).train()
    torch.manual_seed(3)
    model(**batch, tasks=MIXED).loss.backward()
    wanted = grads_of(model)
    checkpointed(model, reentrant)
    torch.manual_seed(3)
    model(**batch, tasks=MIXED).loss.backward()
    assert same_gradients(grads_of(model), wanted)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not"])
@pytest.mark.parametrize("coupling", ["random", "random-reversed"])
def test_checkpointing_replays_the_draws_of_a_random_coupling(
    coupling: str, reentrant: bool
) -> None:
    batch = tiny_batch("llama")
    model = adapted("cola", coupling=coupling, num_A=3, num_B=3, start="kaiming")
    model.train()
    torch.manual_seed(3)
    model(**batch).loss.backward()
    wanted = grads_of(model)
    checkpointed(model, reentrant)
    torch.manual_seed(3)
    model(**batch).loss.backward()
    assert same_gradients(grads_of(model), wanted)


Step = Callable[[nn.Module, dict[str, Tensor]], Any]


def two_calls(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    first = model(**batch, tasks=MIXED).loss
    return first + 2 * model(**batch, tasks="bio").loss


def call_then_default(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    first = model(**batch, tasks="art").loss
    return first + 2 * model(**batch).loss


def default_then_call(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    first = model(**batch).loss
    return first + 2 * model(**batch, tasks="art").loss


def two_blocks(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    with use_tasks(model, "art"):
        first = model(**batch).loss
    with use_tasks(model, MIXED):
        return first + 2 * model(**batch).loss


def three_calls(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    return sum(model(**batch, tasks=task).loss for task in TASKS)


def an_evaluation_between(model: nn.Module, batch: dict[str, Tensor]) -> Any:
    loss = model(**batch, tasks=MIXED).loss
    logits(model.eval(), batch, tasks="art")
    model.train()
    return loss


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not"])
@pytest.mark.parametrize(
    "step",
    [
        two_calls,
        call_then_default,
        default_then_call,
        two_blocks,
        three_calls,
        an_evaluation_between,
    ],
)
@pytest.mark.parametrize("around", [None, "bio"], ids=["", "backward in a block"])
def test_several_forwards_before_one_backward_keep_their_tasks(
    step: Step, reentrant: bool, around: str | None
) -> None:
    batch = tiny_batch("llama")
    model = adapted("colora", default_task="law").train()
    step(model, batch).backward()
    wanted = grads_of(model)
    checkpointed(model, reentrant)
    loss = step(model, batch)
    if around is None:
        loss.backward()
    else:
        with use_tasks(model, around):
            loss.backward()
    assert same_gradients(grads_of(model), wanted)


def test_a_loss_on_the_router_alone_is_recomputed_for_the_right_tasks() -> None:
    from cotune import watch_routers

    batch = tiny_batch("llama")
    model = adapted("hydralora", core="full", default_task="law").train()

    def step() -> dict[str, Tensor]:
        with watch_routers(model) as stats:
            loss = model(**batch, tasks=MIXED).loss
            (loss + stats.balance_loss()).backward()
        return grads_of(model)

    wanted = step()
    checkpointed(model, False)
    assert same_gradients(step(), wanted)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not"])
def test_checkpointing_replays_which_bank_a_sample_had(reentrant: bool) -> None:
    batch = tiny_batch("llama")
    model = adapted("lora")
    model.add_adapter("other", config_of("cola", "llama"))
    model.base_model.set_adapter(["default", "other"])
    fill_factors(model)
    model.train()
    names = ["other", "default", "__base__", "other"]

    def step() -> dict[str, Tensor]:
        with mixed_training(model):
            model(**batch, adapter_names=names).loss.backward()
        return grads_of(model)

    wanted = step()
    checkpointed(model, reentrant)
    assert same_gradients(step(), wanted)


def test_a_failed_backward_leaves_no_task_behind() -> None:
    model = adapted("colora", "t5", default_task="bio").train()
    batch = tiny_batch("t5")
    with use_tasks(model, "bio"):
        wanted = generate(model.eval(), batch)
    model.train()
    checkpointed(model, False)
    loss = model(**batch, tasks="law").loss

    def explode(grad: Tensor) -> None:
        raise Boom

    next(p for p in model.parameters() if p.requires_grad).register_hook(explode)
    with pytest.raises(Boom):
        loss.backward()
    assert torch.equal(generate(model.eval(), batch), wanted)
