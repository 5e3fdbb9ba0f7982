"""One run: base model, tasks and adapter in, a run folder out."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from .._errors import ConfigError, unknown_name
from .._files import as_json, publish, write_json
from ..data import EncodeSpec, MixtureSpec, Task
from ._adapt import adapt, name_tasks
from ._arguments import build_arguments, build_callbacks
from ._checkpoints import find_last
from ._evaluate import (
    choose_parts,
    compare,
    evaluate,
    name_metrics,
    score_tasks,
)
from ._evaluation import Evaluation
from ._load_base import load_base
from ._settings import Plan, claim_folder
from ._spec import EvaluationSpec, TrainingSpec
from .bases import Base, BaseSpec

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import TrainerCallback, TrainingArguments

    from ._trainer import CoTuneTrainer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What a run left behind.

    Args:
        folder: The run folder: ``adapter/`` (``model/`` if there is no adapter),
            ``checkpoints/``, ``settings.json``, ``log_history.json``, ``metrics.json``
            and, if asked for, ``tensorboard/``.
        saved: The folder of the adapter, or of the model.
        steps: Optimizer steps made, those before a resume included.
        evaluation: Scores of the tasks that have test or validation rows.
        model: The trained model, in evaluation mode.
        base: The base that it was made from; needed to evaluate again.
        log_history: What was logged, one mapping per entry.
    """

    folder: Path
    saved: Path
    steps: int
    evaluation: Evaluation
    model: nn.Module
    base: Base
    log_history: tuple[Mapping[str, Any], ...]


def run_training(
    base: BaseSpec,
    tasks: Sequence[Task],
    adapter: PeftConfig | None,
    training: TrainingSpec,
    output_dir: str | Path,
    *,
    mixture: MixtureSpec | None = None,
    encode: EncodeSpec | None = None,
    evaluation: EvaluationSpec | None = None,
    single: Mapping[str, float] | None = None,
    resume: bool | str | Path = False,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingResult:
    """Train an adapter on tasks, score it beside the base model, and save everything.

    Start it with ``torchrun`` or ``accelerate launch`` for several processes; nothing
    else changes.

    Args:
        base: Which model.
        tasks: The tasks.
        adapter: Config of the adapter, ours or any of PEFT's; None trains the whole
            model. Not changed.
        training: How to train.
        output_dir: The run folder. Must be new or empty, unless the run is resumed.
        mixture: How training rows are mixed; None: proportionally.
        encode: How rows become tokens; None: the defaults.
        evaluation: How rows are scored; None: the defaults.
        single: Task -> score of training on it alone, for dm%.
        resume: True: go on from the last complete checkpoint, or start if there is none
            yet; so the same command restarts a killed run. Or a checkpoint.
        callbacks: More callbacks of transformers.

    Returns:
        The result; the same on all processes.

    Raises:
        ConfigError: Settings that do not fit together, the model or the tasks; a run
            folder in use; a run resumed with other settings.
    """
    plan = Plan(
        base=base,
        tasks=tuple(tasks),
        adapter=adapter,
        training=training,
        mixture=MixtureSpec() if mixture is None else mixture,
        encode=EncodeSpec() if encode is None else encode,
        evaluation=EvaluationSpec() if evaluation is None else evaluation,
    )
    _check_best(plan)
    folder = Path(output_dir)
    arguments = build_arguments(training, folder / "checkpoints")
    if arguments.process_index == 0:
        claim_folder(folder, plan, resume=bool(resume))
    events = build_callbacks(training, folder / "tensorboard")
    trainer = _build_trainer(plan, arguments, [*events, *callbacks])
    before = _score_before(trainer, plan)
    output = trainer.train(_choose_start(folder / "checkpoints", resume))
    saved = _save(trainer, folder / ("model" if adapter is None else "adapter"))
    found = _score_after(trainer, plan, before)
    found = found if single is None else found.with_single(single)
    history = tuple(trainer.state.log_history)
    if trainer.args.should_save:
        write_json(folder / "log_history.json", as_json(history))
        found.save(folder / "metrics.json")
    model = trainer.current_model.eval()
    steps = output.global_step
    return TrainingResult(folder, saved, steps, found, model, trainer.base, history)


def _build_trainer(
    plan: Plan, arguments: TrainingArguments, callbacks: list[TrainerCallback]
) -> CoTuneTrainer:
    from transformers import set_seed

    from ._trainer import CoTuneTrainer

    # Starts of factors and heads are drawn before the Trainer sets the seed.
    set_seed(plan.training.seed)
    names = name_tasks(plan.adapter, [task.name for task in plan.tasks])
    base = load_base(plan.base, plan.tasks, encode=plan.encode, names=names)
    model: nn.Module = base.model
    if plan.adapter is not None:
        checkpointing = plan.training.gradient_checkpointing
        model = adapt(base, plan.adapter, checkpointing=checkpointing)
    return CoTuneTrainer(
        model,
        arguments,
        base=base,
        tasks=plan.tasks,
        mixture=plan.mixture,
        lr_ratios=plan.training.lr_ratios,
        evaluation=plan.evaluation,
        callbacks=callbacks,
    )


def _check_best(plan: Plan) -> None:
    """Refuse a best checkpoint by a score that no evaluation will have."""
    wanted = (plan.training.metric_for_best_model or "loss").removeprefix("eval_")
    known = name_metrics(plan.tasks, {task.name: (0.0, 0.0) for task in plan.tasks})
    if plan.training.keeps_best and wanted not in known:
        told = unknown_name("score", wanted, known)
        raise ConfigError(f"training.metric_for_best_model: {told}")


def _choose_start(checkpoints: Path, resume: bool | str | Path) -> str | None:
    if resume is True:
        last = find_last(checkpoints)
        return None if last is None else str(last)
    return str(resume) if resume else None


def _scored_tasks(plan: Plan) -> list[Task]:
    scored = [task for task in plan.tasks if task.test or task.validation]
    left = [task.name for task in plan.tasks if task not in scored]
    if left:
        _LOG.warning("no test or validation rows, not scored: %s", ", ".join(left))
    return scored


def _score_before(trainer: CoTuneTrainer, plan: Plan) -> dict[str, float]:
    """Score the base where training changes it; an adapter can be switched off."""
    if plan.adapter is not None:
        return {}
    tasks = _scored_tasks(plan)
    parts = choose_parts(tasks)
    model = trainer.current_model
    return score_tasks(model, trainer.base, tasks, parts, plan.evaluation)


def _score_after(
    trainer: CoTuneTrainer, plan: Plan, before: Mapping[str, float]
) -> Evaluation:
    tasks = _scored_tasks(plan)
    model, base = trainer.current_model, trainer.base
    if plan.adapter is not None:
        return evaluate(model, tasks, base, spec=plan.evaluation)
    parts = choose_parts(tasks)
    after = score_tasks(model, base, tasks, parts, plan.evaluation)
    return compare(tasks, parts, before, after)


def _save(trainer: CoTuneTrainer, target: Path) -> Path:
    """Save the adapter or the model; the folder appears whole."""
    draft = target.with_name(f".{target.name}.unfinished")
    if trainer.args.should_save:
        # A killed run may have left one behind.
        shutil.rmtree(draft, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(draft))
    trainer.accelerator.wait_for_everyone()
    if trainer.args.should_save:
        (draft / "training_args.bin").unlink(missing_ok=True)
        publish(draft, target)
    trainer.accelerator.wait_for_everyone()
    return target
