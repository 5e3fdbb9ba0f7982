"""What a run was started with: written beside its results, compared on resuming."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from .._files import as_json, write_json
from ..data import EncodeSpec, MixtureSpec, Task
from ._checkpoints import list_checkpoints
from ._spec import EvaluationSpec, TrainingSpec
from .bases import BaseSpec

if TYPE_CHECKING:
    from peft import PeftConfig

FILE = "settings.json"
_RECIPE = "recipe.yaml"
"""A run writes it after ``settings.json``; alone, it is of something else."""

_MAY_CHANGE = (
    "arguments",
    "dataloader_num_workers",
    "disable_tqdm",
    "logging_steps",
    "report_to",
    "run_name",
    "save_total_limit",
)
"""Training settings that do not change what a resumed run computes."""

_PACKAGES = ("cotune", "torch", "transformers", "peft", "accelerate", "datasets")


@dataclass(frozen=True)
class Plan:
    """All that decides what a run computes.

    Args:
        base: Which model.
        tasks: The tasks.
        adapter: Config of the adapter, or None.
        training: How to train.
        mixture: How training rows are mixed.
        encode: How rows become tokens.
        evaluation: How rows are scored.
    """

    base: BaseSpec
    tasks: Sequence[Task]
    adapter: PeftConfig | None
    training: TrainingSpec
    mixture: MixtureSpec
    encode: EncodeSpec
    evaluation: EvaluationSpec

    def describe(self) -> dict[str, Any]:
        """Return the plan, with the numbers of rows, as JSON can hold it."""
        adapter = None if self.adapter is None else self.adapter.to_dict()
        return as_json(
            {
                "base": self.base.model_dump(),
                "adapter": adapter,
                "training": self.training.model_dump(),
                "mixture": self.mixture.model_dump(),
                "encode": self.encode.model_dump(),
                "evaluation": self.evaluation.model_dump(),
                "tasks": {
                    task.name: {**task.spec.model_dump(), "rows": len(task.train)}
                    for task in self.tasks
                },
            }
        )


def claim_folder(folder: Path, plan: Plan, *, resume: bool) -> None:
    """Take a run folder, and write the settings and versions there.

    Args:
        folder: The run folder.
        plan: What is to be run.
        resume: Whether the folder may hold an earlier part of this run.

    Raises:
        ConfigError: The folder is in use and the run is not resumed; or it is, with
            settings that would end with another model; or it holds something else.
    """
    path = folder / FILE
    settings = plan.describe()
    if resume and path.exists():
        _compare(path, settings)
    elif not path.exists() and (folder / _RECIPE).exists():
        raise ConfigError(
            f"output_dir: must be new, empty, or of the same run, got {folder}, which "
            f"holds another {_RECIPE} that the run would replace. Choose another."
        )
    elif not resume and (path.exists() or list_checkpoints(folder / "checkpoints")):
        raise ConfigError(
            f"output_dir: must be new or empty, got {folder}, which holds a run. "
            "Choose another, delete it, or resume the run."
        )
    versions = {name: version(name) for name in _PACKAGES}
    write_json(path, {**settings, "versions": versions})


def _compare(path: Path, settings: Mapping[str, Any]) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"resume: {path} must be the JSON of the earlier run, got: {error}. "
            "Start anew in another folder."
        ) from error
    sections = ("base", "adapter", "training", "mixture", "encode", "tasks")
    changed = [
        f"{name} (was {old!r}, is {new!r})"
        for section in sections
        for name, old, new in _differences(
            section, before.get(section), settings[section]
        )
    ]
    if changed:
        raise ConfigError(
            f"resume: the settings must be those of the run in {path.parent}, got "
            f"other {'; '.join(changed)}. Start anew in another folder."
        )


def _differences(name: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(name, old, new)]
    return [
        found
        for key in dict.fromkeys([*old, *new])
        if not (name == "training" and key in _MAY_CHANGE)
        for found in _differences(f"{name}.{key}", old.get(key), new.get(key))
    ]
