"""Training on several tasks, and scoring each of them.

Everything is imported on first use: transformers takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._adapt import adapt
    from ._arguments import build_arguments
    from ._checkpoints import find_last, is_complete
    from ._evaluate import choose_parts, evaluate, score_task, score_tasks
    from ._evaluation import Evaluation, Summary, TaskScore
    from ._harness import build_harness_model
    from ._keep_tasks import KeepTasks
    from ._load_base import load_base
    from ._predict import predict
    from ._run import TrainingResult, run_training
    from ._show import build_table
    from ._spec import EvaluationSpec, TrainingSpec
    from ._trainer import CoTuneTrainer
    from .bases import BASES, Base, BaseSpec, Prediction

_PUBLIC = {
    "BASES": "bases",
    "Base": "bases",
    "BaseSpec": "bases",
    "CoTuneTrainer": "_trainer",
    "Evaluation": "_evaluation",
    "EvaluationSpec": "_spec",
    "KeepTasks": "_keep_tasks",
    "Prediction": "bases",
    "Summary": "_evaluation",
    "TaskScore": "_evaluation",
    "TrainingResult": "_run",
    "TrainingSpec": "_spec",
    "adapt": "_adapt",
    "build_arguments": "_arguments",
    "build_harness_model": "_harness",
    "build_table": "_show",
    "choose_parts": "_evaluate",
    "evaluate": "_evaluate",
    "find_last": "_checkpoints",
    "is_complete": "_checkpoints",
    "load_base": "_load_base",
    "predict": "_predict",
    "run_training": "_run",
    "score_task": "_evaluate",
    "score_tasks": "_evaluate",
}

__all__ = [
    "BASES",
    "Base",
    "BaseSpec",
    "CoTuneTrainer",
    "Evaluation",
    "EvaluationSpec",
    "KeepTasks",
    "Prediction",
    "Summary",
    "TaskScore",
    "TrainingResult",
    "TrainingSpec",
    "adapt",
    "build_arguments",
    "build_harness_model",
    "build_table",
    "choose_parts",
    "evaluate",
    "find_last",
    "is_complete",
    "load_base",
    "predict",
    "run_training",
    "score_task",
    "score_tasks",
]


__getattr__, __dir__ = lazy(__name__, _PUBLIC)
