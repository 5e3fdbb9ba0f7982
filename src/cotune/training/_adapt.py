"""Put an adapter of the user's config around a base model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..adapters import CoTuneConfig
from ..adapters._fit import fit_adapter
from .bases import Base

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel


def name_tasks(config: PeftConfig | None, names: Sequence[str]) -> tuple[str, ...]:
    """Choose the order of tasks in the adapter's bank.

    Args:
        config: The adapter.
        names: The tasks of the run.

    Returns:
        The tasks that the config lists, or those of the run if it lists none.
    """
    listed = config.tasks if isinstance(config, CoTuneConfig) else None
    return tuple(listed or names)


def adapt(base: Base, config: PeftConfig, *, checkpointing: bool = False) -> PeftModel:
    """Wrap a base model in a new adapter.

    Args:
        base: The base; its model is changed in place, as PEFT does.
        config: Ours or any of PEFT's. Not changed; the task type is filled in, and the
            list of tasks if it is empty.
        checkpointing: Whether activations will be computed again in backward.

    Returns:
        The PEFT model, in training mode as PEFT leaves it.

    Raises:
        ConfigError: The config does not fit the model.
    """
    from peft import prepare_model_for_kbit_training

    config = copy.deepcopy(config)
    if config.task_type is None:
        config.task_type = base.task_type
    if isinstance(config, CoTuneConfig) and not config.tasks:
        config.tasks = list(base.names)
    model = base.model
    if base.spec.quantization is not None:
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=checkpointing
        )
    return fit_adapter(model, config)
