"""What the routers do, seen from outside, and the loss that evens them out."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from adapters.models import TASKS, adapted, close, config_of, methods
from cotune import ConfigError, watch_routers
from cotune.adapters import METHODS, CollaborativeLayer, RouterStats, average_shares
from helpers import fill_factors, logits, tiny_batch, tiny_model

ROUTED = [name for name, method in METHODS.items() if method.coupling == "router"]
BATCH = tiny_batch("llama")
MIXED = ["law", "art", "law", "bio"]
routed = pytest.mark.parametrize("method", ROUTED)


def padded(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the batch with sample b's last b tokens as padding."""
    mask = batch["attention_mask"].clone()
    for row in range(len(mask)):
        mask[row, mask.shape[1] - row :] = 0
    return {**batch, "attention_mask": mask}


def layers_of(model: nn.Module) -> dict[str, CollaborativeLayer]:
    return {n: m for n, m in model.named_modules() if isinstance(m, CollaborativeLayer)}


def shares_by_hand(
    model: PeftModel, batch: dict[str, Tensor], **call: Any
) -> dict[str, Tensor]:
    """Return softmax(W_g x) of every layer's own input, (batch, tokens, experts)."""
    found: dict[str, Tensor] = {}
    hooks = []
    for name, layer in layers_of(model).items():

        def keep(module: nn.Module, args: Any, name: str = name) -> None:
            router = module.cotune_router["default"]  # pyright: ignore
            found[name] = torch.softmax(args[0].detach() @ router.detach().t(), -1)

        hooks.append(layer.register_forward_pre_hook(keep))
    logits(model, batch, **call)
    for hook in hooks:
        hook.remove()
    return found


def tokens_of(shares: Tensor, mask: Tensor) -> list[list[float]]:
    return [
        shares[row, token].tolist()
        for row in range(mask.shape[0])
        for token in range(mask.shape[1])
        if mask[row, token]
    ]


def balance_by_hand(tokens: list[list[float]]) -> float:
    """Compute E * sum_e f_e P_e, token by token."""
    experts = len(tokens[0])
    chosen = Counter(max(range(experts), key=token.__getitem__) for token in tokens)
    total = 0.0
    for expert in range(experts):
        share = chosen[expert] / len(tokens)
        total += share * sum(token[expert] for token in tokens) / len(tokens)
    return experts * total


def watched(model: nn.Module, batch: dict[str, Tensor], **call: Any) -> RouterStats:
    with watch_routers(model) as stats:
        logits(model, batch, **call)
    return stats


def balance_of(model: nn.Module, batch: dict[str, Tensor]) -> float:
    with torch.no_grad():
        return float(watched(model, batch).balance_loss())


def test_the_routed_methods_are_those_that_say_they_are() -> None:
    assert ROUTED == ["alora", "hydralora", "moelora"]


@routed
@pytest.mark.parametrize("mask", [False, True], ids=["whole", "padded"])
def test_usage_is_the_mean_share_and_entropy_of_each_tasks_tokens(
    method: str, mask: bool
) -> None:
    model = adapted(method)
    batch = padded(BATCH) if mask else BATCH
    by_hand = shares_by_hand(model, batch, tasks=MIXED)
    usage = watched(model, batch, tasks=MIXED).usage()
    assert list(usage) == list(by_hand)
    for name, one in usage.items():
        assert one.tasks == ("art", "bio", "law")
        assert one.shares.shape == (3, 3) and one.entropy.shape == (3,)
        for place, task in enumerate(one.tasks):
            rows = [row for row, other in enumerate(MIXED) if other == task]
            kept = batch["attention_mask"][rows]
            tokens = tokens_of(by_hand[name][rows], kept)
            entropies = [-sum(p * math.log(p) for p in token) for token in tokens]
            mean = torch.tensor(tokens).mean(0)
            assert (one.shares[place] - mean).abs().max() < 1e-5
            wanted = sum(entropies) / len(tokens)
            assert float(one.entropy[place]) == pytest.approx(wanted, abs=1e-5)
        assert (one.shares.sum(1) - 1).abs().max() < 1e-5


@routed
def test_without_tasks_all_tokens_are_counted_together(method: str) -> None:
    model = adapted(method)
    by_hand = shares_by_hand(model, BATCH)
    for name, one in watched(model, BATCH).usage().items():
        assert one.tasks == ("all",)
        assert close(one.shares[0], by_hand[name].flatten(0, 1).mean(0))


@routed
@pytest.mark.parametrize("mask", [False, True], ids=["whole", "padded"])
def test_the_balance_loss_is_its_formula_averaged_over_the_layers(
    method: str, mask: bool
) -> None:
    model = adapted(method)
    batch = padded(BATCH) if mask else BATCH
    found = balance_of(model, batch)
    wanted = [
        balance_by_hand(tokens_of(shares, batch["attention_mask"]))
        for shares in shares_by_hand(model, batch).values()
    ]
    assert found == pytest.approx(sum(wanted) / len(wanted), abs=1e-5)
    assert found > 1.01


@routed
def test_the_balance_loss_is_one_when_shares_are_even_and_e_when_one_has_all(
    method: str,
) -> None:
    model = adapted(method)
    for layer in layers_of(model).values():
        nn.init.zeros_(layer.cotune_router["default"])
    assert balance_of(model, BATCH) == pytest.approx(1.0, abs=1e-5)
    whole = RouterStats(model, next(iter(layers_of(model).values())).state)
    shares = torch.zeros(2, 3, 4)
    shares[..., 1] = 1.0
    whole.see(next(iter(layers_of(model).values())), "default", shares)
    with torch.no_grad():
        assert float(whole.balance_loss()) == pytest.approx(4.0)


@routed
def test_one_step_down_the_balance_loss_lowers_it(method: str) -> None:
    model = adapted(method).train()
    with watch_routers(model) as stats:
        model(**BATCH)
        before = stats.balance_loss()
        before.backward()
    routers = [layer.cotune_router["default"] for layer in layers_of(model).values()]
    assert all(router.grad is not None and router.grad.any() for router in routers)
    with torch.no_grad():
        for router in routers:
            router -= 0.01 * router.grad
    assert balance_of(model, BATCH) < float(before.detach())


def gradients(model: nn.Module) -> dict[str, Tensor]:
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def backward(model: nn.Module, batch: dict[str, Tensor]) -> None:
    with watch_routers(model) as stats:
        loss = model(**batch, tasks=MIXED[: len(batch["labels"])]).loss
        (loss + 0.1 * stats.balance_loss()).backward()


@routed
def test_gradients_of_accumulated_parts_are_the_sum_of_the_parts(method: str) -> None:
    model = adapted(method).train()
    parts = [{name: v[rows] for name, v in BATCH.items()} for rows in ([0, 1], [2, 3])]
    single = []
    for part in parts:
        backward(model, part)
        single.append(gradients(model))
    for part in parts:
        backward(model, part)
    for name, grad in gradients(model).items():
        assert close(grad, single[0][name] + single[1][name])


@routed
def test_checkpointing_changes_no_gradient_of_the_balance_loss(method: str) -> None:
    model = adapted(method, lora_dropout=0.2).train()
    torch.manual_seed(3)
    backward(model, BATCH)
    wanted = gradients(model)
    model.gradient_checkpointing_enable(
        gradient_checkpointing_kwargs={"use_reentrant": False}
    )
    torch.manual_seed(3)
    backward(model, BATCH)
    found = gradients(model)
    assert list(found) == list(wanted)
    assert all(close(found[name], wanted[name]) for name in wanted)


@routed
def test_checkpointing_that_hides_the_routers_is_refused(method: str) -> None:
    model = adapted(method).train()
    model.gradient_checkpointing_enable(
        gradient_checkpointing_kwargs={"use_reentrant": True}
    )
    model.enable_input_require_grads()
    with watch_routers(model) as stats:
        model(**BATCH)
        with pytest.raises(ConfigError, match="must be run with gradients, got none"):
            stats.balance_loss()


@pytest.mark.parametrize("method", [m for m in methods() if m not in ROUTED])
def test_a_method_without_a_router_has_no_statistics_and_no_loss(method: str) -> None:
    stats = watched(adapted(method, default_task="art"), BATCH)
    assert stats.usage() == {}
    assert float(stats.balance_loss()) == 0.0


def test_two_banks_at_work_are_told_apart() -> None:
    model = adapted("alora")
    model.add_adapter("other", config_of("hydralora", "llama"))
    fill_factors(model, seed=4)
    banks = ["default", "other"]
    model.base_model.set_adapter(banks)
    usage = watched(model, BATCH).usage()
    assert list(usage) == [f"{n} ({bank})" for n in layers_of(model) for bank in banks]
    shares = shares_by_hand(model, BATCH)  # Those of the bank "default".
    for bank in banks:
        for layer in layers_of(model):
            mean = usage[f"{layer} ({bank})"].shares[0]
            wanted = shares[layer].flatten(0, 1).mean(0)
            assert close(mean, wanted) == (bank == "default")
    with pytest.raises(ConfigError, match="must see one routed adapter, got 'default'"):
        average_shares(model, lambda: logits(model, BATCH))


def test_statistics_are_those_of_the_last_call() -> None:
    model = adapted("alora")
    with watch_routers(model) as stats:
        logits(model, tiny_batch("llama", seed=5), tasks="art")
        logits(model, BATCH, tasks="law")
        last = stats.usage()
    for name, one in watched(model, BATCH, tasks="law").usage().items():
        assert last[name].tasks == one.tasks == ("law",)
        assert torch.equal(last[name].shares, one.shares)


def test_nobody_looks_once_the_block_is_left_also_by_an_exception() -> None:
    model = adapted("alora")
    state = next(iter(layers_of(model).values())).state
    with watch_routers(model) as outer:
        with pytest.raises(ZeroDivisionError), watch_routers(model):
            raise ZeroDivisionError
        assert state.watch is outer
    assert state.watch is None


def test_watching_needs_an_adapter() -> None:
    with (
        pytest.raises(ConfigError, match="needs a cotune adapter, got a plain"),
        watch_routers(tiny_model("llama")),
    ):
        pass


@routed
def test_average_shares_are_those_of_all_calls_without_padding(method: str) -> None:
    model = adapted(method)
    batches = [padded(BATCH), tiny_batch("llama", samples=2, seed=5)]
    found = average_shares(model, lambda: [logits(model, batch) for batch in batches])
    means = [
        {
            name: torch.tensor(tokens_of(shares, batch["attention_mask"])).mean(0)
            for name, shares in shares_by_hand(model, batch).items()
        }
        for batch in batches
    ]
    assert set(found) == {n.removeprefix("base_model.model.") for n in means[0]}
    for name, one in means[0].items():
        wanted = (one + means[1][name]) / 2
        assert close(found[name.removeprefix("base_model.model.")], wanted)


@pytest.mark.parametrize(
    ("method", "calls"), [("cola", 1), ("alora", 0)], ids=["no router", "no call"]
)
def test_average_shares_need_a_router_at_work(method: str, calls: int) -> None:
    model = adapted(method)
    with pytest.raises(ConfigError, match="needs a routed adapter whose model is"):
        average_shares(model, lambda: [logits(model, BATCH) for _ in range(calls)])


def test_a_decoder_is_not_taken_for_padded_by_the_encoders_mask() -> None:
    # As many samples, other lengths: the mask says nothing about the decoder.
    model = adapted("alora", "t5")
    batch = padded(tiny_batch("t5", length=5))
    batch["labels"] = tiny_batch("t5", length=3, seed=1)["labels"]
    usage = watched(model, batch, tasks=TASKS[0]).usage()
    by_hand = shares_by_hand(model, batch, tasks=TASKS[0])
    for name, one in usage.items():
        if ".decoder." in name and by_hand[name].shape[1] == 3:
            assert close(one.shares[0], by_hand[name].flatten(0, 1).mean(0))
