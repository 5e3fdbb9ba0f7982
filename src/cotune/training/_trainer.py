"""A Trainer that knows tasks. All else is transformers' own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from .._errors import ConfigError
from ..data import MixtureSampler, MixtureSpec, Task, get_part
from ._checkpoints import (
    STAGING,
    choose_checkpoint,
    clear_staging,
    finish,
    is_at_end,
)
from ._evaluate import name_metrics, score_task
from ._learning_rates import set_learning_rates
from ._routers import find_balance, summarise_usage, watch
from ._spec import EvaluationSpec
from .bases import Base


class CoTuneTrainer(Trainer):
    """Train one model on several tasks at once.

    It differs from its parent in this, and in nothing else:

    * batches keep ``tasks``, and rows come in the order of the mixture;
    * the loss is that of the base's kind, plus the routers' balance loss;
    * factors may have learning rates of their own;
    * an evaluation scores each task's validation rows in its own metric;
    * checkpoints appear whole or not at all, incomplete ones are skipped, and a resumed
      run ends with the same bits as one that was never stopped (on the same machine,
      with the same number of processes and threads).

    Args:
        model: The model to train, usually a PEFT model around ``base.model``.
        args: Arguments of the run. ``remove_unused_columns`` is set to False.
        base: How rows become batches, losses and answers.
        tasks: The tasks, in any order.
        mixture: How their training rows are mixed; None: proportionally.
        lr_ratios: Factor (A, B, core, router, weight) -> multiple of the learning rate.
        evaluation: How rows are scored; None: the defaults.
        callbacks: Callbacks of transformers.

    Raises:
        ConfigError: Evaluations are asked for and a task has no validation rows; rows
            that do not fit; more.

    Example:
        ``CoTuneTrainer(model, args, base=base, tasks=tasks).train()``
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        base: Base,
        tasks: Sequence[Task],
        mixture: MixtureSpec | None = None,
        lr_ratios: Mapping[str, float] | None = None,
        evaluation: EvaluationSpec | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        from datasets import concatenate_datasets

        self.base = base
        self.tasks = list(tasks)
        self.lr_ratios = dict(lr_ratios or {})
        self.evaluation = evaluation
        parts = {task.name: base.encode(task) for task in self.tasks}
        sizes = {name: len(part) for name, part in parts.items()}
        seed = args.seed if args.data_seed is None else args.data_seed
        mixture = MixtureSpec() if mixture is None else mixture
        self.mixture = MixtureSampler.from_spec(sizes, mixture, seed=seed)
        args.remove_unused_columns = False
        super().__init__(
            model=model,
            args=args,
            data_collator=base.collate,
            train_dataset=concatenate_datasets(list(parts.values())),
            eval_dataset=_validation_rows(self.tasks, args),
            processing_class=base.tokenizer,
            callbacks=[*(callbacks or []), _SetEpoch(self.mixture)],
        )
        if args.fsdp and not self.is_fsdp_enabled:
            raise ConfigError(
                f"fsdp: needs several accelerators, got {args.world_size} processes on "
                f"{args.device}, where nothing would be sharded. Leave fsdp out."
            )
        if base.counts_rows:
            # Makes the parent count rows, and leave the division to the loss.
            self.model_accepts_loss_kwargs = True
            self._loss_shifts_labels = False
        self._balance = find_balance(model)
        self._usage: dict[str, float] = {}
        self._saving = False
        self._resumed: Path | None = None

    @property
    def current_model(self) -> nn.Module:
        """Return the model: unwrapped, but for FSDP, which has it in pieces only."""
        assert isinstance(self.model, nn.Module)
        return self.model

    # -- data --------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        """Return the mixture."""
        return self.mixture

    # -- loss --------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of the base's kind plus the balance loss.

        Args:
            model: The model, wrapped as it is trained.
            inputs: A batch.
            return_outputs: Also return outputs, of which there are none.
            num_items_in_batch: Answers in the whole optimizer step; None: count those
                of this batch.
        """
        items = num_items_in_batch if self.model_accepts_loss_kwargs else None
        with watch(model, model.training and self._balance is not None) as stats:
            loss = self.base.loss(model, inputs, items)
            if items is not None and self.args.average_tokens_across_devices:
                # ``items`` counts those of all processes, whose gradients are averaged.
                loss = loss * self.accelerator.num_processes
            if stats is not None:
                if self._balance:
                    # With ``items`` the parent leaves the division to the loss.
                    parts = 1 if items is None else self._micro_batches()
                    loss = loss + self._balance * stats.balance_loss() / parts
                if self._is_logged():
                    self._usage = summarise_usage(stats.usage())
        return (loss, {}) if return_outputs else loss

    def _micro_batches(self) -> int:
        return int(getattr(self, "current_gradient_accumulation_steps", 1))

    def _is_logged(self) -> bool:
        steps = self.state.logging_steps
        return bool(steps) and (self.state.global_step + 1) % steps == 0

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log what the parent logs, and router statistics beside the loss.

        Args:
            logs: Name -> value.
            *args: Passed on.
            **kwargs: Passed on.
        """
        if "loss" in logs:
            logs, self._usage = {**logs, **self._usage}, {}
        super().log(logs, *args, **kwargs)

    # -- optimizer ---------------------------------------------------------------

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Make the parent's optimizer, with learning rates per factor.

        Args:
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            The optimizer.

        Raises:
            ConfigError: A factor that the adapter does not train has a rate.
        """
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if is_new and self.lr_ratios:
            model = (*args, self.current_model)[0]
            set_learning_rates(optimizer, model, self.lr_ratios)
        return optimizer

    # -- evaluation --------------------------------------------------------------

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Score the validation rows of each task in its own metric.

        Args:
            eval_dataset: Only None: the tasks know their rows.
            ignore_keys: Not used.
            metric_key_prefix: Goes before every name.

        Returns:
            ``<prefix>_<task>_<metric>``, ``<prefix>_<task>_loss``; over all tasks with
            the same metric ``<prefix>_mean_<metric>`` and ``<prefix>_worst_<metric>``;
            ``<prefix>_loss``, the mean of the tasks' losses. Losses are left out of
            tasks whose answers are written.

        Raises:
            ConfigError: A data set is given, or a task has no validation rows.
        """
        del ignore_keys
        if eval_dataset is not None:
            raise ConfigError(
                "evaluate: must be called without a data set, got one. It scores the "
                "tasks; for other rows use cotune.training.evaluate."
            )
        scored = {
            task.name: score_task(
                self.current_model, self.base, task, "validation", self.evaluation
            )
            for task in self.tasks
        }
        found = name_metrics(self.tasks, scored)
        metrics = {
            f"{metric_key_prefix}_{name}": value for name, value in found.items()
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    # -- checkpoints -------------------------------------------------------------

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Train, from the start or from a checkpoint.

        Args:
            resume_from_checkpoint: A complete checkpoint; True for the last complete
                one in ``output_dir``.
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            What the parent returns.

        Raises:
            ConfigError: No such complete checkpoint.
        """
        folder = Path(str(self.args.output_dir))
        self._resumed = choose_checkpoint(folder, resume_from_checkpoint)
        if self.args.should_save:
            clear_staging(folder)
        self.accelerator.wait_for_everyone()
        resumed = self._resumed and str(self._resumed)
        return super().train(resumed, *args, **kwargs)

    def set_initial_training_values(self, *args: Any, **kwargs: Any) -> Any:
        """Plan no epochs if the checkpoint is that of a run at its end.

        The parent would train one more step: it looks for the end after each step only.

        Args:
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            What the parent returns: epochs first, steps last.
        """
        values = super().set_initial_training_values(*args, **kwargs)
        if self._resumed is not None and is_at_end(self._resumed, max_steps=values[-1]):
            return (0, *values[1:])
        return values

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)
        return os.path.join(folder, STAGING) if self._saving else folder

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Let the parent write the checkpoint aside, then move it to its place."""
        self._saving = True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._saving = False
        self.accelerator.wait_for_everyone()
        folder = Path(self._get_output_dir(trial))
        name = f"checkpoint-{self.state.global_step}"
        best = self.state.best_global_step
        best_name = f"checkpoint-{best}" if best else None
        if best_name and (best_name == name or (folder / best_name).is_dir()):
            # The parent looked for it where this checkpoint was being written.
            self.state.best_model_checkpoint = str(folder / best_name)
        if self.args.should_save:
            draft = folder / STAGING / name
            self.state.save_to_json(str(draft / "trainer_state.json"))
            # A pickle of the arguments that nothing reads.
            (draft / "training_args.bin").unlink(missing_ok=True)
            keep = self.args.save_total_limit
            finish(folder, name, keep=keep, best=best_name)
        self.accelerator.wait_for_everyone()


class _SetEpoch(TrainerCallback):
    """Tells the mixture its epoch.

    The DataLoader wrappers do that too, but not all: in a resumed run with several
    processes the call does not get through to the sampler.
    """

    def __init__(self, mixture: MixtureSampler) -> None:
        self.mixture = mixture

    def on_epoch_begin(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Set the epoch, which is whole at this point but for a resumed one."""
        self.mixture.set_epoch(int(state.epoch or 0))


def _validation_rows(tasks: Sequence[Task], args: TrainingArguments) -> Any:
    """Return what the parent takes as a sign that there is something to evaluate."""
    if str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "no":
        return None
    return {task.name: get_part(task, "validation") for task in tasks}
