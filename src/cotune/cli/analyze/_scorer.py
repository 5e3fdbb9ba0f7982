"""What the commands of ``cotune analyze`` ask a model: scores and gradients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from ..._adapter import Adapter
from ..._adapter_file import WEIGHTS, write_adapter
from ..._errors import ConfigError

if TYPE_CHECKING:
    from ...data import Task
    from ...recipes import OpenedRun

ADAPTED = "base_model.model."


class Scorer:
    """Scores the model of a run, with other factors or with some layers off.

    Args:
        opened: The run, with its rows.
        rows: Most rows per task; None takes all.
        tasks: Which tasks; None takes all.
        cache_bytes: Most memory for activations that are used again.

    Raises:
        ConfigError: Unknown tasks, tasks without rows to score, or of several metrics.
    """

    def __init__(
        self,
        opened: OpenedRun,
        *,
        rows: int | None = None,
        tasks: Sequence[str] | None = None,
        cache_bytes: int = 2 * 1024**3,
    ) -> None:
        from ...training import choose_parts

        for name in tasks or ():
            opened.check_task(name)
        chosen = [t for t in opened.tasks if not tasks or t.name in tasks]
        self.opened, self.model = opened, opened.model
        self.parts = choose_parts(chosen)
        self.tasks = [cut_rows(task, self.parts[task.name], rows) for task in chosen]
        self.metric = find_metric(self.tasks)
        self._last: tuple[Adapter, float, float | None] | None = None
        self._layers = _adapted_layers(self.model)
        self._activations = self._build_cache(cache_bytes)

    @property
    def has_loss(self) -> bool:
        """Whether every task has a loss, that is, no answers are written."""
        forms = [self.opened.base.form_to_score(task) for task in self.tasks]
        return "causal_prompt" not in forms

    def groups(self, by: str) -> dict[str, tuple[str, ...]]:
        """Return the groups of adapted layers, from input to output.

        Args:
            by: ``block``, ``module`` or ``third``.
        """
        from ...schedules import group_layers

        return {group.name: group.layers for group in group_layers(self._layers, by)}

    def measure(self) -> tuple[float, float | None]:
        """Return mean score over the tasks (higher is better), and mean loss in nats.

        The loss is None where answers are written.
        """
        from ...data import METRICS
        from ...training import score_task

        found = [
            score_task(
                self.model,
                self.opened.base,
                task,
                self.parts[task.name],
                self.opened.recipe.evaluation,
            )
            for task in self.tasks
        ]
        losses = [loss for _, loss in found if loss is not None]
        sign = 1.0 if METRICS[self.metric].higher_is_better else -1.0
        score = sign * fmean(score for score, _ in found)
        return score, fmean(losses) if len(losses) == len(found) else None

    def score(self, adapter: Adapter) -> float:
        """Score the model with an adapter's factors in place of its own."""
        return self._measure(adapter)[0]

    def loss(self, adapter: Adapter) -> float:
        """Return the mean loss with an adapter's factors in place of its own."""
        return need_loss(self._measure(adapter)[1])

    def value(self, off: Sequence[str], metric: str) -> float:
        """Return minus the mean loss, or the score, with the adapters of layers off.

        Args:
            off: Names of layers.
            metric: ``loss`` or ``score``.
        """
        gone = set(off)
        with self._without(gone), self._reusing(gone):
            score, loss = self.measure()
        return score if metric == "score" else -need_loss(loss)

    def fingerprint(self, folders: Sequence[Path]) -> str:
        """Return a digest of everything that scores depend on.

        Args:
            folders: The adapter folders that are looked at.
        """
        digest = hashlib.sha256()
        for folder in folders:
            digest.update((folder / WEIGHTS).read_bytes())
        recipe = self.opened.recipe
        for section in (recipe.base, recipe.evaluation, recipe.data.encode):
            digest.update(section.model_dump_json().encode())
        for task in self.tasks:
            digest.update(f"{task.name} {task.spec.metric_name}".encode())
            for row in cast("Any", getattr(task, self.parts[task.name])):
                # Where a row lies does not count; generated data move every time.
                said = {name: row[name] for name in row if name != "where"}
                digest.update(json.dumps(said, default=str).encode())
        return digest.hexdigest()

    def _measure(self, adapter: Adapter) -> tuple[float, float | None]:
        if self._last is None or self._last[0] is not adapter:
            put_factors(self.model, adapter)
            self._last = (adapter, *self.measure())
        return self._last[1:]

    def _build_cache(self, limit: int) -> Any:
        from ...analysis import ActivationCache
        from ...schedules import block_of

        if not self.has_loss:
            # Written answers make new inputs in every pass, and need key-value caches.
            return None
        self.model.config.use_cache = False
        names = list(dict.fromkeys(map(block_of, self._layers)))
        self._states = {
            name: [layer for layer in self._layers if block_of(layer) == name]
            for name in names
        }
        blocks = [self.model.get_submodule(ADAPTED + name) for name in names]
        return ActivationCache(blocks, limit_bytes=limit)

    @contextmanager
    def _reusing(self, off: set[str]) -> Iterator[None]:
        if self._activations is None:
            yield
            return
        states = [
            tuple(layer in off for layer in layers) for layers in self._states.values()
        ]
        with self._activations.reuse(states):
            yield

    @contextmanager
    def _without(self, off: set[str]) -> Iterator[None]:
        layers = [self._layers[name] for name in off]
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)


def put_factors(model: nn.Module, adapter: Adapter) -> None:
    """Put an adapter's tensors into a model that has the same adapter.

    Args:
        model: A PEFT model; changed in place.
        adapter: As written by that model, with other numbers.
    """
    from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict

    # By way of a file: PEFT knows how the names in it belong to the model.
    with TemporaryDirectory(prefix="cotune-") as folder:
        write_adapter(adapter, folder)
        weights = load_peft_weights(folder, device="cpu")
    found = set_peft_model_state_dict(model, weights)
    assert not found.unexpected_keys, found.unexpected_keys


def need_loss(loss: float | None) -> float:
    """Return a loss that must be there.

    Raises:
        ConfigError: It is None.
    """
    if loss is None:
        raise ConfigError(
            "analyze: every task must have a loss, got written answers. "
            "Use --metric score."
        )
    return loss


def find_metric(tasks: Sequence[Task]) -> str:
    """Return the one metric of all tasks.

    Raises:
        ConfigError: They have several.
    """
    metrics = list(dict.fromkeys(task.spec.metric_name for task in tasks))
    if len(metrics) > 1:
        raise ConfigError(
            "analyze: all tasks must have one metric, for a mean over them, got "
            f"{', '.join(metrics)}. Choose tasks with --task."
        )
    return metrics[0]


def cut_rows(task: Task, part: str, rows: int | None) -> Task:
    """Return a task with at most so many rows in one part; None takes all."""
    found = getattr(task, part)
    if rows is None or rows >= len(found):
        return task
    return replace(task, **cast("Mapping[str, Any]", {part: found.select(range(rows))}))


def _adapted_layers(model: nn.Module) -> dict[str, Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {
        name.removeprefix(ADAPTED): module
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer)
    }
