"""A recipe: everything that a run needs, in one file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from .._errors import ConfigError
from .._spec import Spec
from ..data import DataSpec
from ..federated._spec import FederatedSpec
from ..schedules import ScheduleSpec
from ..training import BaseSpec, EvaluationSpec, TrainingSpec
from ._adapter_spec import AdapterSpec


class Recipe(Spec):
    """Everything that a run needs. Written resolved beside its results."""

    description: str = Field(default="", description="What the recipe is for.")
    base: BaseSpec = Field(default=BaseSpec(), description="Which model is adapted.")
    data: DataSpec = Field(description="Tasks, and how they are mixed.")
    adapter: AdapterSpec | None = Field(
        default=AdapterSpec(target_modules="all-linear"),
        description="Which adapter is trained; null: none, the whole model is trained "
        "and saved in `model/`.",
    )
    separate: bool = Field(
        default=False,
        description="Train one adapter per task, alone: the baseline that sharing must "
        "beat. Every task gets the number of steps that the recipe says.",
    )
    schedule: ScheduleSpec | None = Field(
        default=None, description="When adapters are active; left out: always."
    )
    training: TrainingSpec = Field(default=TrainingSpec(), description="How to train.")
    evaluation: EvaluationSpec = Field(
        default=EvaluationSpec(), description="How to score."
    )
    federated: FederatedSpec | None = Field(
        default=None,
        description="Training by clients that keep their rows; for `cotune federate`.",
    )
    output_dir: str = Field(
        default="runs/run",
        min_length=1,
        description="Folder of the run; new or empty.",
    )
    versions: dict[str, str] = Field(
        default_factory=dict,
        description="Written by a run: the versions it ran with. Read by nobody.",
    )

    def need_adapter(self) -> AdapterSpec:
        """Return the adapter section, for what means nothing without an adapter.

        Raises:
            ConfigError: It is null.
        """
        if self.adapter is None:
            raise ConfigError(
                "adapter: must be a section with keys, got null: the whole model is "
                "trained. Write e.g. `adapter: {method: lora}`."
            )
        return self.adapter

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        names = [task.name for task in self.data.tasks]
        known = None if self.adapter is None else self.adapter.tasks
        if known and not self.data.folders and set(names) - set(known):
            missing = ", ".join(sorted(set(names) - set(known)))
            raise ValueError(
                f"adapter.tasks: must hold every task of data.tasks, got none for "
                f"{missing}. Leave adapter.tasks out to take them all."
            )
        faults = list(self._whole_faults() if self.adapter is None else ())
        if self.federated is not None and not faults:
            faults = list(self._federated_faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _whole_faults(self) -> Iterator[str]:
        """Say what does not go with training the whole model."""
        for name in ("schedule", "federated"):
            if getattr(self, name) is not None:
                yield f"{name}: acts on adapters, got `adapter: null`. Leave one out."

    def _federated_faults(self) -> Iterator[str]:
        """Say what does not go together in a federation."""
        from ..federated._ownership import find_misfits

        assert self.federated is not None
        aggregation = self.federated.aggregation
        adapter = self.need_adapter()
        config = adapter.build(["client"])
        yield from find_misfits(aggregation.build(), aggregation.name, config)
        if adapter.tasks:
            yield "adapter.tasks: must be left out, each client has its own task."
        if self.separate:
            yield "separate: goes without federated; take `aggregation: local`."
        if self.schedule is not None:
            yield "schedule: goes without federated. Leave one of them out."
        if self.base.kind == "classifier" and self.base.labels is None:
            yield (
                "base.labels: must list the labels of all clients, got none. The "
                "server has no rows to take them from."
            )
