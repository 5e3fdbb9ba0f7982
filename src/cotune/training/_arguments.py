"""From the training section of a recipe to transformers' TrainingArguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError, unknown_name
from ._spec import TrainingSpec

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainingArguments

OWN = (
    "loraplus_lr_ratio",
    "factor_lr_ratio",
    "early_stopping_patience",
    "early_stopping_threshold",
    "arguments",
)
"""Fields of the section that are not TrainingArguments of the same name."""

FIXED = (
    "output_dir",
    "remove_unused_columns",
    "label_smoothing_factor",
    "train_sampling_strategy",
    "group_by_length",
    "resume_from_checkpoint",
    "per_device_eval_batch_size",
)
"""TrainingArguments that cotune sets itself, or that would do nothing here."""


def build_arguments(spec: TrainingSpec, folder: Path) -> TrainingArguments:
    """Make the TrainingArguments of a run.

    Args:
        spec: The training section.
        folder: Where checkpoints and events go.

    Returns:
        The arguments.

    Raises:
        ConfigError: ``arguments`` names a field that does not exist, that the section
            has itself, or that cotune sets; a value that it does not take; a logger
            that is unknown or not installed; sharding with one process.
    """
    import torch
    from transformers import TrainingArguments

    known = {field.name: field.default for field in fields(TrainingArguments)}
    _check_more(spec, known)
    _check_loggers(spec)
    settings = {
        name: value
        for name, value in spec.model_dump(exclude=set(OWN)).items()
        if value is not None
    }
    checkpointing = settings.pop("gradient_checkpointing")
    new = "activation_checkpointing"
    settings[new if new in known else "gradient_checkpointing"] = checkpointing
    settings |= {
        "output_dir": str(folder),
        "remove_unused_columns": False,
        "report_to": [n for n in spec.report_to if n != "tensorboard"] or "none",
        "eval_strategy": spec.evaluates,
        "save_steps": spec.save_steps or 500,
        "load_best_model_at_end": spec.keeps_best,
        "metric_for_best_model": _best_metric(spec),
        "greater_is_better": _higher_is_better(spec),
        "restore_callback_states_from_checkpoint": True,
        # Without an accelerator there is nothing to pin for, and torch warns.
        "dataloader_pin_memory": torch.accelerator.is_available(),
    }
    try:
        arguments = TrainingArguments(**settings | spec.arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"training: must be what transformers' TrainingArguments takes, got: "
            f"{str(error).removesuffix('.')}. Mend it in training or its arguments."
        ) from error
    _check_sharding(arguments)
    return arguments


def build_callbacks(spec: TrainingSpec, events: Path) -> list[TrainerCallback]:
    """Make the callbacks that the training section asks for.

    Args:
        spec: The training section.
        events: Folder for TensorBoard events.

    Returns:
        Early stopping and TensorBoard, as far as they are asked for.
    """
    from transformers import EarlyStoppingCallback
    from transformers.integrations.integration_utils import TensorBoardCallback

    callbacks: list[TrainerCallback] = []
    if spec.early_stopping_patience is not None:
        threshold = spec.early_stopping_threshold
        stop = EarlyStoppingCallback(spec.early_stopping_patience, threshold)
        callbacks.append(stop)
    if "tensorboard" in spec.report_to:
        board = TensorBoardCallback()
        # By default events go below the checkpoints, under the machine's name.
        board.logging_dir = board.logging_dir or str(events)
        callbacks.append(board)
    return callbacks


def _check_sharding(arguments: TrainingArguments) -> None:
    from transformers.training_args import ParallelMode

    if arguments.fsdp and arguments.parallel_mode != ParallelMode.DISTRIBUTED:
        raise ConfigError(
            "training.fsdp: needs several processes, got one. Start them with torchrun "
            "or accelerate launch, or leave it out."
        )


def _check_more(spec: TrainingSpec, known: Mapping[str, Any]) -> None:
    for name, value in spec.arguments.items():
        if name in TrainingSpec.model_fields:
            raise ConfigError(
                f"training.arguments: must hold other fields only, got {name}. Set "
                f"training.{name}."
            )
        if name in FIXED:
            raise ConfigError(
                f"training.arguments: {name} cannot be set, because cotune sets it or "
                "does not use it. Leave it out."
            )
        if name not in known:
            raise ConfigError(
                f"training.arguments: {unknown_name('argument', name, sorted(known))}"
            )
        # TrainingArguments takes anything, and fails where it counts with it.
        if type(known[name]) in (int, float) and isinstance(value, str):
            raise ConfigError(
                f"training.arguments.{name}: must be a number, got {value!r}. Its "
                f"default is {known[name]}."
            )


def _check_loggers(spec: TrainingSpec) -> None:
    if spec.report_to in ((), ("all",)):
        return
    from transformers.integrations import integration_utils as integrations

    known = list(integrations.INTEGRATION_TO_CALLBACK)
    # Flyte is not looked for there.
    there = {*integrations.get_available_reporting_integrations(), "flyte"}
    for name in spec.report_to:
        if name not in known:
            told = unknown_name("logger", name, known)
            raise ConfigError(f"training.report_to: {told}")
        if name not in there:
            ours = '"cotune[tensorboard]"' if name == "tensorboard" else name
            raise ConfigError(
                f"training.report_to: the package of {name} must be installed, got "
                f"none. Run: pip install {ours}, or leave it out."
            )


def _best_metric(spec: TrainingSpec) -> str | None:
    return (spec.metric_for_best_model or "loss") if spec.keeps_best else None


def _higher_is_better(spec: TrainingSpec) -> bool | None:
    from ..data import METRICS

    name = _best_metric(spec)
    if name is None:
        return None
    for metric in METRICS:
        if name == metric or name.endswith(f"_{metric}"):
            return METRICS[metric].higher_is_better
    raise ConfigError(
        "training.metric_for_best_model: must be loss, mean_<metric>, worst_<metric> "
        f"or <task>_<metric>, got {name!r}. Metrics: {', '.join(METRICS)}."
    )
