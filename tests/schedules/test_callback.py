"""The callback in a real Trainer: checks T2, T3 and T4, resume, evaluation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.training_args import ParallelMode

from cotune import METHODS
from cotune._errors import ConfigError
from cotune.schedules import ActivationRecord, CoTo, CoToCallback, Switch
from cotune.schedules._callback import _check_training
from helpers import tiny_batch
from schedules.models import (
    adapted,
    base_model,
    lora_config,
    method_config,
    quiet,
    same,
    trained,
    tuner_config,
)

ROWS = [
    {name: value[row] for name, value in tiny_batch("llama", samples=24).items()}
    for row in range(24)
]
CONFIGS = {
    "cola": lambda **kw: method_config("cola", **kw),
    "colora": lambda **kw: method_config("colora", **kw),
    "peft-lora": lora_config,
    "peft-dora": lambda **kw: lora_config(use_dora=True, **kw),
}
OTHERS = {
    **{
        f"method-{name}": lambda name=name: method_config(name)
        for name in METHODS
        if name not in CONFIGS
    },
    "peft-rslora": lambda: lora_config(use_rslora=True),
    "peft-pissa": lambda: lora_config(init_lora_weights="pissa"),
    "peft-hira": lambda: tuner_config("hira"),
}
"""What else is to be trained: the rest of the table, and of the listed forms."""


class Watcher(TrainerCallback):
    """Sees what is on in every forward, and what every step changed."""

    def __init__(self, model, originals=None) -> None:
        self.model = model
        self.switch = Switch(model, originals=originals)
        self.seen: list[tuple[int, bool, tuple[bool, ...]]] = []
        self.moved: list[dict[str, bool]] = []
        self.step = 0
        model.register_forward_pre_hook(self._look)

    def is_on(self) -> tuple[bool, ...]:
        def hooked(layer) -> bool:
            return (
                layer.switched_off
                if hasattr(layer, "switched_off")
                else bool([key for key in layer.__dict__ if key == "_cotune_bypass"])
            )

        members = self.switch._members.values()
        states = [{not hooked(layer) for layer in layers} for layers in members]
        assert all(len(state) == 1 for state in states)
        return tuple(state.pop() for state in states)

    def _look(self, module, args) -> None:
        self.seen.append((self.step, module.training, self.is_on()))

    def _copies(self) -> dict[str, list[torch.Tensor]]:
        return {
            group.name: [p.detach().clone() for p in self.switch.factors(group.name)]
            for group in self.switch.groups
        }

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self.step = state.global_step
        self.before = self._copies()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        after = self._copies()
        self.moved.append(
            {
                name: any(
                    not torch.equal(p, q)
                    for p, q in zip(self.before[name], after[name], strict=True)
                )
                for name in after
            }
        )


def trainer_for(model, folder, *callbacks, steps=8, **changes) -> Trainer:
    config = next(iter(model.peft_config.values()))
    rows = ROWS
    if getattr(config, "tasks", None):
        rows = [{**row, "tasks": place % 3} for place, row in enumerate(ROWS)]
    fields = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 0.05,
        "weight_decay": 0.5,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "logging_strategy": "no",
        "dataloader_pin_memory": False,
        **changes,
    }
    trainer = Trainer(
        model, TrainingArguments(**fields), train_dataset=rows, eval_dataset=rows[:4]
    )
    trainer.pop_callback("PrinterCallback")
    for callback in callbacks:
        trainer.add_callback(callback)
    return trainer


def train(trainer: Trainer, **kwargs) -> None:
    with quiet():
        trainer.train(**kwargs)


SLOW = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("colora", "peft-dora", *OTHERS)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cola", "peft-lora", *SLOW])
def test_t2_and_t3_one_mask_per_step_and_what_is_off_does_not_move(name, tmp_path):
    model, originals = adapted({**CONFIGS, **OTHERS}[name]())
    # Only a start that changes the base needs its weights from before.
    changed = originals if name == "peft-pissa" else None
    watcher = Watcher(model, changed)
    schedule = CoTo(p0=0.1)
    callback = CoToCallback(schedule=schedule, originals=changed)
    train(trainer_for(model, tmp_path, callback, watcher))
    groups = watcher.switch.groups
    masks = [schedule.mask(step, 8, groups) for step in range(8)]
    assert any(not all(mask.values()) for mask in masks)
    # Two micro-batches per step, with one mask; and exactly the groups that were on
    # moved, although the optimizer decays weights.
    seen = [(step, on) for step, training, on in watcher.seen if training]
    want = [(step, tuple(mask.values())) for step, mask in enumerate(masks)]
    assert seen == [entry for entry in want for _ in range(2)]
    assert watcher.moved == masks
    shares = callback.record.share
    assert [{n: bool(s[t]) for n, s in shares.items()} for t in range(8)] == masks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cola", "peft-lora"])
def test_an_evaluation_in_mid_training_sees_all_adapters(name, tmp_path):
    model, _ = adapted(CONFIGS[name]())
    watcher = Watcher(model)
    losses = []

    class Check(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs) -> None:
            losses.append((metrics["eval_loss"], plain_loss(model)))

    trainer = trainer_for(
        model,
        tmp_path,
        CoToCallback(schedule=CoTo(fraction=1.0)),
        watcher,
        Check(),
        eval_strategy="steps",
        eval_steps=2,
    )
    train(trainer)
    assert {on for _, training, on in watcher.seen if not training} == {(True,) * 4}
    assert len(losses) == 4
    assert all(got == pytest.approx(want, abs=1e-6) for got, want in losses)


def plain_loss(model) -> float:
    batch = {name: torch.stack([row[name] for row in ROWS[:4]]) for name in ROWS[0]}
    with torch.no_grad():
        return float(model(**batch).loss)


@pytest.fixture(scope="module", params=["cola", "peft-dora"])
def whole_run(request, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A run of eight steps, stage 1 being the first six, with checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    make = CONFIGS[request.param]
    model, _ = adapted(make())
    callback = CoToCallback(schedule=CoTo(seed=2))
    train(trainer_for(model, folder, callback, save_strategy="steps", save_steps=2))
    yield SimpleNamespace(
        make=make, folder=folder, weights=trained(model), record=callback.record
    )


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [2, 4])
def test_t3_a_resumed_run_replays_the_masks_and_ends_bit_equal(
    whole_run, checkpoint, tmp_path
):
    model, _ = adapted(whole_run.make())
    callback = CoToCallback(schedule=CoTo(seed=2))
    trainer = trainer_for(model, tmp_path, callback)
    train(trainer, resume_from_checkpoint=f"{whole_run.folder}/checkpoint-{checkpoint}")
    assert callback.record == whole_run.record
    assert same(trained(model), whole_run.weights)


@pytest.mark.slow
@pytest.mark.parametrize("with_callback", [True, False])
def test_t4_after_stage_one_a_step_is_a_plain_step_bit_for_bit(
    whole_run, with_callback, tmp_path
):
    model, _ = adapted(whole_run.make())
    callbacks = [CoToCallback(schedule=CoTo(seed=2))] if with_callback else []
    trainer = trainer_for(model, tmp_path, *callbacks)
    train(trainer, resume_from_checkpoint=f"{whole_run.folder}/checkpoint-6")
    assert same(trained(model), whole_run.weights)


@pytest.mark.slow
def test_the_model_is_as_it_was_after_training_and_the_record_is_written(tmp_path):
    model, _ = adapted(lora_config())
    hooks = count_hooks(model)
    path = tmp_path / "activation.json"
    callback = CoToCallback(schedule=CoTo(fraction=1.0), save_to=path)
    train(trainer_for(model, tmp_path, callback))
    assert count_hooks(model) == hooks
    record = ActivationRecord.from_json(path.read_text())
    assert record == callback.record and record.total_steps == 8
    assert record.schedule == CoTo(fraction=1.0).settings()


def count_hooks(model) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in model.modules()
    )


@pytest.mark.slow
def test_a_run_that_stopped_with_an_error_can_be_released_or_begun_again(tmp_path):
    class Stop(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
            raise RuntimeError("stop")

    model, _ = adapted(lora_config())
    hooks = count_hooks(model)
    callback = CoToCallback()
    trainer = trainer_for(model, tmp_path, callback, Stop())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="stop"):
            train(trainer)
        assert count_hooks(model) > hooks
    callback.release()
    assert count_hooks(model) == hooks


@pytest.mark.slow
def test_plain_checkpointing_frees_the_inputs_and_gives_them_back(tmp_path, caplog):
    model, _ = adapted(lora_config())
    requires = []
    embed = model.get_input_embeddings()
    callback = CoToCallback()
    trainer = trainer_for(model, tmp_path, callback, steps=2, **checkpointing(False))
    model.base_model.model.model.layers[0].register_forward_pre_hook(
        lambda module, args: requires.append(args[0].requires_grad)
    )
    with caplog.at_level(logging.WARNING, "cotune"):
        train(trainer)
    assert requires and not any(requires)
    assert "backward pass" not in caplog.text
    assert embed(torch.tensor([1])).requires_grad


def checkpointing(reentrant: bool) -> dict:
    return {
        "activation_checkpointing": True,
        "activation_checkpointing_kwargs": {"use_reentrant": reentrant},
    }


@pytest.mark.slow
def test_reentrant_checkpointing_works_and_says_what_it_costs(tmp_path, caplog):
    plain, _ = adapted(lora_config())
    train(trainer_for(plain, tmp_path, CoToCallback(), steps=4))
    model, _ = adapted(lora_config())
    trainer = trainer_for(
        model, tmp_path, CoToCallback(), steps=4, **checkpointing(True)
    )
    with caplog.at_level(logging.WARNING, "cotune"):
        train(trainer)
    assert "use_reentrant" in caplog.text
    for name, value in trained(plain).items():
        torch.testing.assert_close(trained(model)[name], value, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_changed_base_is_refused_when_training_begins(tmp_path):
    model, originals = adapted(lora_config(init_lora_weights="pissa"))
    with pytest.raises(ConfigError, match="keep_base"):
        train(trainer_for(model, tmp_path, CoToCallback()))
    callback = CoToCallback(originals=originals)
    train(trainer_for(model, tmp_path, callback, steps=2))
    assert callback.record.total_steps == 2


def test_there_is_no_record_before_a_run():
    with pytest.raises(ConfigError, match="needs a run"):
        CoToCallback().record  # noqa: B018


class TwoRanks(TrainingArguments):
    """Arguments as one of two DDP processes sees them."""

    parallel_mode = ParallelMode.DISTRIBUTED


class TwoDevices(TrainingArguments):
    """Arguments of one process that feeds two devices."""

    n_gpu = 2


def arguments(kind=TwoRanks, **changes) -> TrainingArguments:
    made = kind(output_dir="unused", use_cpu=True, report_to=[])
    # Set afterwards: some of them want a launcher or a package to be accepted.
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deepspeed": "zero2.json"}, "got deepspeed"),
        ({"fsdp": True}, "got fsdp"),
        ({"torch_compile": True}, "does not see hooks"),
        ({"ddp_static_graph": True}, "ddp_static_graph: must be off"),
        ({"ddp_find_unused_parameters": False}, "ddp_find_unused_parameters: must be"),
    ],
)
def test_ways_of_training_in_which_off_is_not_untouched_are_refused(changes, words):
    model, _ = adapted(lora_config())
    _check_training(arguments(), model, Switch(model))
    with pytest.raises(ConfigError, match=words):
        _check_training(arguments(**changes), model, Switch(model))


def test_ddp_with_checkpointing_needs_the_plain_kind_and_the_search():
    model, _ = adapted(lora_config())
    inner = model.base_model.model
    assert isinstance(inner, PreTrainedModel)
    with quiet():
        inner.activation_checkpointing_enable({"use_reentrant": False})
    _check_training(arguments(), model, Switch(model))
    # The trainer turns the search off for a bare transformers model.
    with pytest.raises(ConfigError, match="ddp_find_unused_parameters: must be on"):
        _check_training(arguments(), inner, Switch(model))
    inner.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(ConfigError, match="use_reentrant"):
        _check_training(arguments(), model, Switch(model))


def test_one_process_with_several_devices_cannot_have_replaced_weights():
    model, originals = adapted(lora_config(init_lora_weights="pissa"))
    switch = Switch(model, originals=originals)
    with pytest.raises(ConfigError, match="one device per process, got n_gpu=2"):
        _check_training(arguments(TwoDevices), model, switch)
    plain, _ = adapted(lora_config())
    _check_training(arguments(TwoDevices), plain, Switch(plain))


def test_a_compiled_run_of_our_layers_is_allowed():
    model, _ = adapted(method_config("lora"), base_model())
    _check_training(arguments(torch_compile=True), model, Switch(model))
