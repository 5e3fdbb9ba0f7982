"""What a recipe says about one task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from .._spec import Spec
from ._metrics import METRICS
from ._noise import check_noise
from ._rows import FieldSpec, check_options
from ._source import SourceSpec
from ._split import LimitSpec
from ._template import TemplateSpec

Kind = Literal["choice", "label", "text", "chat"]
OnBadRow = Literal["error", "skip"]
# A task's name becomes a file name and a part of tensor names.
TaskName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=100),
]

_KIND_METRICS: dict[Kind, tuple[str, ...]] = {
    "choice": ("accuracy", "exact_match", "loss"),
    "label": ("accuracy", "exact_match", "loss"),
    "text": ("loss", "exact_match", "rouge1", "rouge2", "rougeL"),
    "chat": ("loss", "exact_match", "rouge1", "rouge2", "rougeL"),
}


class TaskSpec(Spec):
    """One task: where its rows lie, how they are read, how it is scored."""

    name: TaskName = Field(
        description="Name of the task: letters, digits, - and _, at most 100; unique "
        "in a run."
    )
    source: SourceSpec = Field(
        description="Where the rows lie; a plain text is a folder or a file."
    )
    kind: Kind = Field(
        description="choice: pick one of the row's options. label: pick one of the "
        "task's labels. text: write free text. chat: write the last turn of a chat."
    )
    fields: FieldSpec = Field(
        default=FieldSpec(), description="Which field of a row holds what."
    )
    template: TemplateSpec = Field(
        default=TemplateSpec(),
        description="Texts made from several fields; goes before fields.",
    )
    options: tuple[str, ...] | None = Field(
        default=None,
        description="The answers to choose from, the same for every row. None: for "
        "choice, the row's own; for label, all answers of the training rows, sorted.",
    )
    metric: str | None = Field(
        default=None,
        description=f"How the task is scored: {', '.join(METRICS)}. None: accuracy "
        "for choice and label, loss for text and chat.",
    )
    limits: LimitSpec = Field(default=LimitSpec(), description="How much is used.")
    validation_share: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Part of the training rows cut off for validation, in [0, 1). "
        "None: as the data section says; 0 for a task with a validation file.",
    )
    label_noise: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Part of the training rows that get another of their options as "
        "answer, in [0, 1), to see how well training bears wrong labels. For kinds "
        "choice and label. Validation and test rows stay as they are. None: as the "
        "data section says, or 0.",
    )
    on_bad_row: OnBadRow | None = Field(
        default=None,
        description="error: a bad row stops the run, and all are listed. skip: bad "
        "rows are left out and logged. None: as the data section says, or error.",
    )

    @field_validator("metric")
    @classmethod
    def _check_metric(cls, metric: str | None) -> str | None:
        if metric is not None:
            METRICS[metric]
        return metric

    @model_validator(mode="after")
    def _check(self) -> TaskSpec:
        where = f"task {self.name!r}"
        if self.options is not None:
            if self.kind not in ("choice", "label"):
                raise ValueError(
                    f"{where}: options go with kind choice or label, got kind "
                    f"{self.kind}. Leave them out."
                )
            check_options(self.options, f"{where}: options")
        check_noise([self])
        if self.template.answer is not None and self.fields.answer_is == "index":
            raise ValueError(
                f"{where}: an answer made by a template is text, got "
                "fields.answer_is: index. Leave out one of them."
            )
        if self.kind == "chat" and self.template != TemplateSpec():
            raise ValueError(
                f"{where}: kind chat reads fields.messages, got a template. Use kind "
                "text with encode.chat to put single prompts into a chat."
            )
        if self.metric_name not in _KIND_METRICS[self.kind]:
            raise ValueError(
                f"{where}: the metric must fit kind {self.kind}, got {self.metric}. "
                f"Use one of {', '.join(_KIND_METRICS[self.kind])}."
            )
        return self

    @property
    def metric_name(self) -> str:
        """Return the name of the metric, the kind's default where none is set."""
        return self.metric or _KIND_METRICS[self.kind][0]
