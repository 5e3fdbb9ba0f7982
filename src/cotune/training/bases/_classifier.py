"""Encoders with a head that has one output per label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..._errors import ConfigError
from ...data import Batch, EncodeSpec, Task, Tokens, join_labels
from ._base import Base, Prediction, Row, call
from ._load import load_model, load_tokenizer
from ._spec import BaseSpec


@dataclass(frozen=True)
class ClassifierBase(Base):
    """A sequence classifier: one head for all tasks, one output per label.

    A label that two tasks share is one output. Loss and prediction are taken among the
    labels of the row's own task. The head begins at random, unless the model brings one
    of the same size, and is trained in full beside the adapter.

    Args:
        own: Per name in ``names``: the outputs that belong to the task, (labels,) of
            truth values. A task that is not in the run owns all.
    """

    own: tuple[tuple[bool, ...], ...] = ()

    task_type = "SEQ_CLS"
    form = "classes"

    @classmethod
    def load(
        cls,
        spec: BaseSpec,
        tasks: Sequence[Task],
        *,
        encode: EncodeSpec,
        names: tuple[str, ...],
    ) -> ClassifierBase:
        """Load the model, with a head for the labels; see :meth:`Base.load`."""
        labels = _get_labels(spec, tasks)
        tokens = Tokens(load_tokenizer(spec), encode)
        model = load_model(
            "AutoModelForSequenceClassification",
            spec,
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            ignore_mismatched_sizes=True,
        )
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokens.tokenizer.pad_token_id
        found = {task.name: set(task.labels or labels) for task in tasks}
        own = tuple(
            tuple(label in found.get(name, labels) for label in labels)
            for name in names
        )
        return cls(spec, model, tokens, names, labels, own)

    def loss(
        self, model: nn.Module, batch: Batch, items: Tensor | int | None = None
    ) -> Float[Tensor, ""]:
        """Return the cross entropy over the task's labels; see :meth:`Base.loss`."""
        labels = batch["labels"]
        total = F.cross_entropy(self.classify(model, batch), labels, reduction="sum")
        return total / (len(labels) if items is None else items)

    def form_to_score(self, task: Task) -> str:
        """Return the form of training; see :meth:`Base.form_to_score`."""
        return self.form

    def score(
        self,
        model: nn.Module,
        task: Task,
        batch: Batch,
        rows: Sequence[Row],
        *,
        max_new_tokens: int,
    ) -> list[Prediction]:
        """Pick the likeliest label of the task; see :meth:`Base.score`."""
        logits = self.classify(model, batch)
        losses = F.cross_entropy(logits, batch["labels"], reduction="none").tolist()
        picks = logits.argmax(1).tolist()
        return [
            Prediction(self.labels[pick], loss)
            for pick, loss in zip(picks, losses, strict=True)
        ]

    def classify(self, model: nn.Module, batch: Batch) -> Float[Tensor, "batch labels"]:
        """Compute the logits of all labels.

        Args:
            model: The classifier, with or without an adapter.
            batch: A batch of form ``classes``.

        Returns:
            Logits in fp32 at least; minus infinity for labels of other tasks.
        """
        logits = call(
            model,
            batch["tasks"],
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
        ).logits
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        own = torch.tensor(self.own, device=logits.device)[batch["tasks"]]
        return logits.masked_fill(~own, float("-inf"))


def _get_labels(spec: BaseSpec, tasks: Sequence[Task]) -> tuple[str, ...]:
    needed = join_labels(tasks)
    if spec.labels is None:
        return tuple(needed)
    strange = [label for label in needed if label not in spec.labels]
    if strange:
        raise ConfigError(
            "base.labels: must hold the labels of all tasks, got none for "
            f"{', '.join(map(repr, strange))}. Add them, or leave labels out."
        )
    return spec.labels
