"""The recipe section ``schedule``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .._spec import Spec
from ._schedule import Schedule
from ._tables import SCHEDULES


class ScheduleSpec(Spec):
    """When adapters are active in training. Without this section: always."""

    name: str = Field("coto", description="Name in the schedule table: coto.")
    p0: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that a group is on at the first step, 0 to 1. The "
        "paper has 0, its released code 0.1.",
    )
    fraction: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of the optimizer steps in which the probability grows to 1; "
        "after that all groups are on. 0: always on.",
    )
    shape: str = Field(
        "linear",
        description="How the probability grows: linear, sine, exponential, or constant "
        "(stochastic depth: stays at p0).",
    )
    depth: str = Field(
        "uniform",
        description="Which layers are dropped more: uniform (none), high (variant H) "
        "or low (variant L).",
    )
    groups: str = Field(
        "block",
        description="Layers that are on or off together: those of one block, one "
        "module, or one third of the depth.",
    )
    empty: str = Field(
        "force_one",
        description="What happens when no group was drawn: force_one switches on one "
        "of them, resample draws again (needs p0 > 0).",
    )
    seed: int | None = Field(
        None, description="Seed of the draws. None: the seed of the run."
    )

    @model_validator(mode="after")
    def _can_be_built(self) -> ScheduleSpec:
        self.build(seed=0)
        return self

    def build(self, *, seed: int) -> Schedule:
        """Make the schedule.

        Args:
            seed: Seed of the run, taken if the section has none.

        Raises:
            ConfigError: Fields that do not fit; all faults in one message.
        """
        values: dict[str, Any] = self.model_dump(exclude={"name"})
        values["seed"] = seed if self.seed is None else self.seed
        return SCHEDULES[self.name](**values)
