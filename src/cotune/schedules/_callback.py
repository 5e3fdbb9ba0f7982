"""The callback that makes a schedule work in any transformers Trainer."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from .._errors import ConfigError
from ._coto import CoTo
from ._inputs import checkpointing_of, free_inputs, has_forced_inputs
from ._record import ActivationRecord, Recorder
from ._schedule import Schedule
from ._switch import Switch

_log = logging.getLogger(__name__)


class CoToCallback(TrainerCallback):
    """Switches groups of adapters on and off as a schedule says.

    One mask per optimizer step, the same for all its micro-batches and on all ranks.
    The step is the trainer's ``global_step``, so a resumed run goes on with the same
    masks. Between steps, and so in every evaluation, all adapters are on.

    Args:
        schedule: When groups are on; None takes ``CoTo()``.
        originals: What :func:`keep_base` returned. Only for starts of PEFT that change
            the base, such as PiSSA; not used otherwise.
        save_to: File for the activation record (JSON), written by the main process at
            the end of training; None writes none.

    Raises:
        ConfigError: When training begins: adapters that cannot be switched off, or a
            way of training in which off could not mean untouched.

    Example:
        ``trainer.add_callback(CoToCallback(schedule=CoTo()))``

    Source: CoTo (arXiv:2506.05713), algorithm 1.
    """

    def __init__(
        self,
        schedule: Schedule | None = None,
        *,
        originals: Mapping[str, Tensor] | None = None,
        save_to: str | os.PathLike[str] | None = None,
    ) -> None:
        self.schedule: Schedule = CoTo() if schedule is None else schedule
        self.originals = originals
        self.save_to = save_to
        self._switch: Switch | None = None
        self._recorder: Recorder | None = None
        self._freed: list[RemovableHandle] = []

    @property
    def record(self) -> ActivationRecord:
        """Return the active share per group so far.

        Raises:
            ConfigError: Training has not begun.
        """
        if self._recorder is None:
            raise ConfigError("CoToCallback.record: needs a run, got none yet.")
        return self._recorder.record()

    def release(self) -> None:
        """Switch everything on and take all hooks off the model.

        Happens at the end of training. Call it after a run that stopped with an error,
        if the model is trained further without this callback.
        """
        if self._switch is not None:
            self._switch.clear()
        for handle in self._freed:
            handle.remove()
        self._switch, self._freed = None, []

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Find the adapters, check the set-up, and replay the record of a resumed run.

        Args:
            args: Arguments of the trainer.
            state: State of the trainer, with ``global_step`` and ``max_steps``.
            control: Not used.
            model: The model that is trained.
            **kwargs: Not used.
        """
        assert model is not None
        self.release()
        groups = self.schedule.groups
        self._switch = switch = Switch(model, groups, self.originals)
        _check_training(args, model, switch)
        self._freed = free_inputs(model)
        if has_forced_inputs(model) and not self._freed:
            _log.warning(
                "CoToCallback: the embeddings are made to require gradients, so the "
                "backward pass runs through the blocks below the lowest active adapter "
                "too. Use checkpointing with use_reentrant=False, and do not call "
                "enable_input_require_grads() without checkpointing."
            )
        self._recorder = Recorder(self.schedule, state.max_steps, switch.groups)
        for step in range(state.global_step):
            mask = self.schedule.mask(step, state.max_steps, switch.groups)
            self._recorder.add(step, mask)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Draw the mask of an optimizer step and obey it.

        Args:
            args: Not used.
            state: State of the trainer.
            control: Not used.
            **kwargs: Not used.
        """
        assert self._switch is not None and self._recorder is not None
        step, total = state.global_step, state.max_steps
        mask = self.schedule.mask(step, total, self._switch.groups)
        self._switch.set(mask)
        self._recorder.add(step, mask)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Make sure that the optimizer passes over the factors that are off.

        Args:
            args: Not used.
            state: Not used.
            control: Not used.
            **kwargs: Not used.
        """
        assert self._switch is not None
        self._switch.drop_gradients()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Switch everything on, for evaluation and saving.

        Args:
            args: Not used.
            state: Not used.
            control: Not used.
            **kwargs: Not used.
        """
        assert self._switch is not None
        self._switch.clear()

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Write the record and leave the model as it was.

        Args:
            args: Not used.
            state: State of the trainer.
            control: Not used.
            **kwargs: Not used.
        """
        self.release()
        if self.save_to is not None and state.is_world_process_zero:
            self.record.save(self.save_to)


def _check_training(args: TrainingArguments, model: nn.Module, switch: Switch) -> None:
    """Refuse ways of training in which off cannot mean untouched."""
    for name in ("deepspeed", "fsdp"):
        if getattr(args, name):
            raise ConfigError(
                f"CoToCallback: factors that are off must stay untouched, got {name}, "
                "which joins factors and steps them together. Use DDP (torchrun "
                "without DeepSpeed or FSDP)."
            )
    if args.torch_compile and switch.has_hooked_layers:
        raise ConfigError(
            "CoToCallback: masks must reach the layers, got torch_compile=True, which "
            "does not see hooks on PEFT's layers. Set torch_compile=False, or use a "
            "cotune config."
        )
    if args.n_gpu > 1 and switch.replaces_weights:
        raise ConfigError(
            "CoToCallback: original weights need one device per process, got "
            f"n_gpu={args.n_gpu}. Start with torchrun, or show one device only."
        )
    if args.parallel_mode.value == "distributed":
        _check_ddp(args, model)


def _check_ddp(args: TrainingArguments, model: nn.Module) -> None:
    if args.ddp_static_graph:
        raise ConfigError(
            "ddp_static_graph: must be off with a schedule, got True: the set of "
            "factors in use changes from step to step. Remove it."
        )
    if checkpointing_of(model) == "reentrant":
        raise ConfigError(
            "CoToCallback: DDP finds unused factors only without reentrant "
            "checkpointing, got use_reentrant=True. Set it to False in the arguments "
            "of checkpointing."
        )
    finds = args.ddp_find_unused_parameters
    if finds is None:
        # The trainer's own rule.
        plain = isinstance(model, PreTrainedModel)
        finds = not (plain and checkpointing_of(model) != "none")
    if not finds:
        raise ConfigError(
            "ddp_find_unused_parameters: must be on with a schedule, got off: DDP "
            "would wait for gradients of factors that are off. Set it to True."
        )
