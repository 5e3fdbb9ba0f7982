"""What every kind of base model can do: be loaded, encode rows, give a loss, score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from ..._errors import ConfigError, unknown_name
from ...adapters._tasks import find_state
from ...data import (
    Batch,
    Collator,
    EncodeSpec,
    Task,
    Tokens,
    build_collator,
    encode_task,
)
from ._spec import BaseSpec

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ...data._source import PartName

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one row.

    Args:
        text: The answer that it picks or writes; None if only the loss was asked for.
        loss: Negative log-likelihood of the right answer, in nats: the mean per token
            for causal models, per row for the others. None if the answer was written.
    """

    text: str | None
    loss: float | None


@dataclass(frozen=True)
class Base(ABC):
    """A base model of one kind, loaded, with its tokenizer.

    The methods take the model as an argument, because what is trained and scored is
    the model with an adapter around it, perhaps inside DDP or FSDP.

    Args:
        spec: What the recipe says about it.
        model: The model as loaded, without an adapter.
        tokens: Its tokenizer, with the rules by which rows become tokens.
        names: Task names; the place of a name is the task's row in the adapter's bank.
        labels: Outputs of a classifier, in order; empty for the other kinds.
    """

    spec: BaseSpec
    model: PreTrainedModel
    tokens: Tokens
    names: tuple[str, ...]
    labels: tuple[str, ...] = ()

    task_type: ClassVar[str]
    """How PEFT calls models of this kind."""
    form: ClassVar[str]
    """Form of encoding of training rows."""
    counts_rows: ClassVar[bool] = True
    """Whether the loss is a sum over rows, not over tokens by the model itself."""

    @classmethod
    @abstractmethod
    def load(
        cls,
        spec: BaseSpec,
        tasks: Sequence[Task],
        *,
        encode: EncodeSpec,
        names: tuple[str, ...],
    ) -> Base:
        """Load model and tokenizer.

        Args:
            spec: Which model.
            tasks: Tasks of the run; a classifier takes its labels from them.
            encode: How rows become tokens.
            names: Task names, as above.

        Returns:
            The base, with the model in evaluation mode.

        Raises:
            ConfigError: The model cannot be found or loaded, or does not fit the tasks.
        """

    @abstractmethod
    def loss(
        self, model: nn.Module, batch: Batch, items: Tensor | int | None = None
    ) -> Float[Tensor, ""]:
        """Compute the training loss of a batch.

        Args:
            model: The model to train.
            batch: A batch from :attr:`collate`.
            items: Answers (for causal models: answer tokens) in all batches of the
                optimizer step, on all devices; None: those of this batch.

        Returns:
            The summed loss of the batch over ``items``, in nats.
        """

    @abstractmethod
    def form_to_score(self, task: Task) -> str:
        """Return the form of encoding in which a task's rows are scored.

        Args:
            task: The task.
        """

    @abstractmethod
    def score(
        self,
        model: nn.Module,
        task: Task,
        batch: Batch,
        rows: Sequence[Row],
        *,
        max_new_tokens: int,
    ) -> list[Prediction]:
        """Predict the answers of a batch. Call it without gradients, in eval mode.

        Args:
            model: The model to score.
            task: The task that the rows belong to.
            batch: The rows in the form of :meth:`form_to_score`, joined.
            rows: The same rows as texts.
            max_new_tokens: Most tokens of a written answer.

        Returns:
            One prediction per row.
        """

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer."""
        return self.tokens.tokenizer

    @property
    def collate(self) -> Collator:
        """Return the function that makes a batch of training rows."""
        return build_collator(self.form, self.tokenizer)

    def encode(
        self, task: Task, part: PartName = "train", form: str | None = None
    ) -> Dataset:
        """Encode one part of a task.

        Args:
            task: The task.
            part: Which part.
            form: Form of encoding; None: that of training.

        Returns:
            Columns as :func:`cotune.data.encode_task` says; ``tasks`` holds rows of the
            adapter's bank.

        Raises:
            ConfigError: A task that the bank lacks, a part that the task lacks, rows
                that do not fit.
        """
        if task.name not in self.names:
            raise ConfigError(unknown_name("task", task.name, self.names))
        return encode_task(
            task,
            form=form or self.form,
            tokens=self.tokens,
            task_id=self.names.index(task.name),
            part=part,
            labels=self.labels,
        )


def accepts_tasks(model: nn.Module) -> bool:
    """Tell whether a model takes ``tasks``, that is, has a cotune adapter.

    Args:
        model: Any model, wrapped or not.
    """
    try:
        find_state(model)
    except ConfigError:
        return False
    return True


def call(model: nn.Module, tasks: Tensor, **inputs: Any) -> Any:
    """Call a model, with ``tasks`` if it takes them.

    Args:
        model: Any model, wrapped or not.
        tasks: Row of each sample's task in the bank, (batch,).
        **inputs: What else the model takes.

    Returns:
        What the model returns.
    """
    if accepts_tasks(model):
        return model(tasks=tasks, **inputs)
    return model(**inputs)
