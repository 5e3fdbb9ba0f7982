"""A new task for a trained bank: trained alone, and nothing else moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from adapters.models import TASKS, adapted, close, methods
from cotune import ConfigError, add_task, export_lora, read_adapter, use_tasks
from cotune.adapters import CollaborativeLayer, train_all_tasks
from helpers import factors_of, logits, tiny_batch, tiny_model

BATCH = tiny_batch("llama")
# Pairs of a method and a start; with copies of the start, once and per factor.
JOINING = [
    ("colora", None),
    ("mtl", None),
    ("dual", None),
    ("alora-by-task", None),
    ("colora", "pissa"),
    ("dual", "pissa"),
    ("dual", "pissa-split"),
    ("alora-by-task", "pissa-split"),
]
joining = pytest.mark.parametrize(
    ("method", "start"), JOINING, ids=[f"{m}-{s}" for m, s in JOINING]
)


def trained_bank(method: str, start: str | None) -> PeftModel:
    """Make a bank of three tasks with room for two more in the smallest layer."""
    return adapted(method, start=start, r=1 if start == "pissa-split" else 2)


def layers_of(model: nn.Module) -> list[CollaborativeLayer]:
    return [m for m in model.modules() if isinstance(m, CollaborativeLayer)]


def outputs(model: nn.Module, tasks: list[str]) -> dict[str, Tensor]:
    model.eval()
    return {task: logits(model, BATCH, tasks=task) for task in tasks}


def train(model: nn.Module, task: str | list[str], steps: int = 3) -> None:
    """Train as hard as anybody would: momentum, weight decay, a high rate."""
    model.train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0.5
    )
    for _ in range(steps):
        optimizer.zero_grad()
        model(**BATCH, tasks=task).loss.backward()
        optimizer.step()


def test_every_method_with_parts_per_task_is_among_those_tested_here() -> None:
    for method in methods():
        model = adapted(method)
        try:
            add_task(model, "new")
        except ConfigError:
            assert method not in dict(JOINING)
        else:
            assert method in dict(JOINING)


@joining
def test_training_a_new_task_changes_no_bit_of_the_others(
    method: str, start: str | None, tmp_path: Path
) -> None:
    model = trained_bank(method, start)
    base = logits(tiny_model("llama"), BATCH)
    before = outputs(model, TASKS)
    add_task(model, "new")
    first = outputs(model, ["new"])["new"]
    train(model, "new")
    after = outputs(model, [*TASKS, "new"])
    for task in TASKS:
        assert torch.equal(after[task], before[task])
    assert not close(after["new"], first, 1e-3)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(tiny_model("llama"), str(tmp_path))
    again = outputs(loaded, [*TASKS, "new"])
    assert all(torch.equal(again[task], after[task]) for task in again)
    assert read_adapter(tmp_path).tasks == (*TASKS, "new")
    with loaded.disable_adapter():
        assert torch.equal(logits(loaded, BATCH), base)


@joining
def test_the_optimizer_did_reach_the_rows_that_were_kept(
    method: str, start: str | None
) -> None:
    # Else the test above would not say that weight decay is kept away.
    model = trained_bank(method, start)
    add_task(model, "new")
    first = {name: p.detach().clone() for name, p in factors_of(model)}
    train(model, "new")
    moved = {n for n, p in factors_of(model) if not torch.equal(p[:-1], first[n][:-1])}
    assert moved == {n for n, p in factors_of(model) if p.requires_grad}


@joining
def test_only_the_rows_of_the_new_task_have_gradients(
    method: str, start: str | None
) -> None:
    model = trained_bank(method, start)
    add_task(model, "new")
    train(model, "new", steps=1)
    trained = [p for _, p in factors_of(model) if p.requires_grad]
    assert trained
    for parameter in trained:
        assert parameter.grad is not None
        assert not parameter.grad[:-1].any()
    # The first step of a new pair of `dual` is B's: its A meets B = 0.
    still = [p for p in trained if p.grad is not None and not p.grad[-1].any()]
    half = method == "dual" and start is None
    assert len(still) == (len(trained) // 2 if half else 0)


@pytest.mark.slow
@joining
def test_a_new_task_can_begin_as_another(method: str, start: str | None) -> None:
    model = trained_bank(method, start)
    add_task(model, "new", copy_from="bio")
    found = outputs(model, ["bio", "new"])
    assert torch.equal(found["new"], found["bio"])


@pytest.mark.parametrize("method", ["colora", "mtl", "alora-by-task"])
def test_a_new_task_begins_as_the_mean_of_the_factors(method: str) -> None:
    model = adapted(method)
    before = {name: p.detach().clone() for name, p in factors_of(model)}
    add_task(model, "new")
    grown = 0
    for name, parameter in factors_of(model):
        if len(parameter) == len(before[name]) + 1:
            grown += 1
            assert torch.equal(parameter[:-1], before[name])
            assert close(parameter[-1], before[name].mean(0), 1e-6)
        else:
            assert torch.equal(parameter, before[name])
    assert grown == {"mtl": 2}.get(method, 1) * len(layers_of(model))


@pytest.mark.parametrize("start", [None, "pissa", "pissa-split"])
def test_a_new_pair_of_dual_begins_without_an_effect(start: str | None) -> None:
    model = trained_bank("dual", start)
    add_task(model, "new")
    for layer in layers_of(model):
        factors = layer.factors("default")
        shared = factors.scale * factors.B[0].double() @ factors.A[0].double()
        if factors.A0 is not None:
            shared -= factors.scale * factors.B0[0].double() @ factors.A0[0].double()
        assert close(layer.low_rank("default", "new").delta(), shared, 1e-5)
    # And both of its factors can be trained: one of them is not zero.
    train(model, "new", steps=2)
    assert not close(outputs(model, ["new"])["new"], outputs(model, ["art"])["art"])


@pytest.mark.slow
@joining
def test_a_second_new_task_leaves_the_first_as_it_was_trained(
    method: str, start: str | None
) -> None:
    model = trained_bank(method, start)
    add_task(model, "new")
    train(model, "new")
    wanted = outputs(model, [*TASKS, "new"])
    add_task(model, "newer")
    train(model, "newer")
    found = outputs(model, [*TASKS, "new", "newer"])
    assert all(torch.equal(found[task], wanted[task]) for task in wanted)


@pytest.mark.slow
@joining
def test_all_tasks_are_trained_again_from_where_they_were(
    method: str, start: str | None
) -> None:
    model = trained_bank(method, start)
    free = {name for name, p in factors_of(model) if p.requires_grad}
    add_task(model, "new")
    train(model, "new")
    wanted = outputs(model, [*TASKS, "new"])
    train_all_tasks(model)
    found = outputs(model, [*TASKS, "new"])
    assert all(torch.equal(found[task], wanted[task]) for task in wanted)
    assert {name for name, p in factors_of(model) if p.requires_grad} == free
    train(model, ["art", "bio", "law", "new"])
    found = outputs(model, [*TASKS, "new"])
    assert not any(close(found[task], wanted[task]) for task in wanted)


def test_the_rest_can_go_on_being_trained() -> None:
    model = adapted("colora")
    before = outputs(model, TASKS)
    add_task(model, "new", freeze_rest=False)
    after = outputs(model, TASKS)
    assert all(torch.equal(after[task], before[task]) for task in TASKS)
    assert all(p.requires_grad for _, p in factors_of(model))
    train(model, ["art", "bio", "law", "new"])
    after = outputs(model, TASKS)
    assert not any(torch.equal(after[task], before[task]) for task in TASKS)


def test_freezing_survives_what_peft_does_to_adapters() -> None:
    model = adapted("colora")
    add_task(model, "new")
    frozen = {n for n, p in factors_of(model) if not p.requires_grad}
    assert frozen
    model.set_adapter("default")
    model.base_model.set_adapter("default")
    assert {n for n, p in factors_of(model) if not p.requires_grad} == frozen


def test_a_bank_of_another_name_is_not_touched() -> None:
    from adapters.models import config_of

    model = adapted("colora")
    model.add_adapter("other", config_of("colora", "llama"))
    first = {n: p.detach().clone() for n, p in factors_of(model) if "other" in n}
    add_task(model, "new", adapter_name="other")
    model.set_adapter("default")
    assert model.peft_config["other"].tasks == [*TASKS, "new"]
    assert model.peft_config["default"].tasks == TASKS
    assert all(p.requires_grad for n, p in factors_of(model) if "default" in n)
    for name, parameter in factors_of(model):
        if "other" in name and "core" not in name:
            assert torch.equal(parameter, first[name])


def test_a_deleted_bank_leaves_no_kept_rows_behind() -> None:
    model = adapted("colora")
    add_task(model, "new")
    model.delete_adapter("default")
    assert not any(
        layer.kept_rows or layer.frozen_factors for layer in layers_of(model)
    )


def test_what_is_loaded_counts_also_for_frozen_tasks() -> None:
    source, model = adapted("colora"), adapted("colora", filled=False)
    for one in (source, model):
        add_task(one, "new", copy_from="law")
    with torch.no_grad():
        for name, parameter in factors_of(source):
            if "core" in name:
                parameter.mul_(2.0)
    train_all_tasks(source)
    with torch.no_grad():
        for _, parameter in factors_of(source):
            parameter.mul_(1.5)
    model.load_state_dict(source.state_dict())
    wanted, found = (outputs(m, [*TASKS, "new"]) for m in (source, model))
    assert all(torch.equal(found[task], wanted[task]) for task in wanted)
    train(model, "new")
    assert torch.equal(outputs(model, ["art"])["art"], wanted["art"])


def test_a_new_task_is_merged_generated_and_exported_like_any_other(
    tmp_path: Path,
) -> None:
    model = adapted("colora")
    add_task(model, "new")
    train(model, "new")
    wanted = outputs(model, ["new"])["new"]
    model.save_pretrained(str(tmp_path / "ours"))
    export_lora(read_adapter(tmp_path / "ours"), tmp_path / "plain", task="new")
    plain = PeftModel.from_pretrained(tiny_model("llama"), str(tmp_path / "plain"))
    assert close(logits(plain.eval(), BATCH), wanted)
    with use_tasks(model, "new"):
        model.merge_adapter()
        assert close(logits(model, BATCH), wanted)


def test_a_start_without_more_directions_refuses_before_anything_changes() -> None:
    # Five blocks of rank 2 do not fit into 8 x 16; loading would have to make them.
    model = adapted("dual", start="pissa-split", r=2)
    with pytest.raises(ConfigError, match="needs 10 singular directions"):
        add_task(model, "new")
    assert model.peft_config["default"].tasks == TASKS
    assert all(
        layer.specs["default"].tasks == tuple(TASKS) for layer in layers_of(model)
    )


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"task": "art"}, "colora", "'art' is there already, among"),
    ({"task": ""}, "colora", "must be a name that is not empty, got ''"),
    ({"task": "new"}, "cola", "must have parts per task, got method 'cola'"),
    ({"task": "new", "copy_from": "laws"}, "colora", "Did you mean law"),
    ({"task": "new", "adapter_name": "defualt"}, "colora", "Did you mean default"),
]


@pytest.mark.parametrize(("call", "method", "message"), REFUSED)
def test_a_task_that_cannot_join_is_refused_and_nothing_changes(
    call: dict[str, Any], method: str, message: str
) -> None:
    model = adapted(method)
    before = {name: p.detach().clone() for name, p in factors_of(model)}
    with pytest.raises(ConfigError, match=message):
        add_task(model, **call)
    assert model.peft_config["default"].tasks == TASKS
    assert all(torch.equal(p, before[name]) for name, p in factors_of(model))
