"""What is merged, and how: the recipe of ``cotune merge-adapters``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from ..._spec import Spec
from ._options import read_options
from ._table import MERGE


class MergedAdapter(Spec):
    """One adapter that goes in. A plain text in its place means ``path``."""

    path: str = Field(
        min_length=1, description="Adapter folder, of cotune or PEFT's LoRA, or a run."
    )
    task: str | None = Field(
        default=None, description="Whose update; None: the default task."
    )
    weight: float | None = Field(
        default=None, description="Its weight; for all adapters or for none."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class MergeSpec(Spec):
    """Several adapters, how they are merged, and what comes out."""

    description: str = Field(default="", description="What the merge is for.")
    adapters: tuple[MergedAdapter, ...] = Field(
        min_length=1, description="What is merged, at least one."
    )
    merge: dict[str, Any] = Field(
        description="The operator and its options, {name: ties, density: 0.2}."
    )
    rank: int | None = Field(
        default=None,
        ge=1,
        description="Rank of the result. None: the largest given, or no limit where "
        "max_error is given.",
    )
    max_error: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Smallest rank per layer with at most this relative error.",
    )
    layers: Literal["same", "union"] = Field(
        default="same",
        description="same: all adapters must have the same layers. union: a layer that "
        "one lacks counts as a zero update.",
    )
    any_base: bool = Field(
        default=False, description="Merge even if configs name different base models."
    )
    svd_iterations: int | None = Field(
        default=None,
        ge=0,
        description="Of the SVD of dense results; None: exact. Needs rank.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of operators that draw.")
    into_model: bool = Field(
        default=False,
        description="Write a full model with the merge in its weights, not an adapter. "
        "Nothing is recompressed then.",
    )
    base: str | None = Field(
        default=None,
        description="With into_model: folder or hub name of the base model. None: that "
        "of the first run, or of the first adapter's config.",
    )
    out: str = Field(min_length=1, description="Folder to write; new or empty.")

    @field_validator("merge", mode="before")
    @classmethod
    def _check_operator(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping) or not isinstance(
            cast("Mapping[str, Any]", value).get("name"), str
        ):
            raise ValueError(
                f"must be an operator with its options, got {value!r}. Write it like "
                "{name: ties, density: 0.2}."
            )
        found = dict(cast("Mapping[str, Any]", value))
        name = found.pop("name")
        return {"name": name, **read_options(name, MERGE[name], found)}

    @model_validator(mode="after")
    def _check_together(self) -> MergeSpec:
        faults: list[str] = []
        given = [each.weight is not None for each in self.adapters]
        if any(given) and not all(given):
            faults.append(
                "adapters: weight must be given for all adapters or for none, got "
                f"{sum(given)} of {len(given)}. Without weights each counts alike."
            )
        if self.into_model:
            sizes = ("rank", "max_error", "svd_iterations")
            idle = [name for name in sizes if getattr(self, name) is not None]
            if idle:
                faults.append(
                    f"{idle[0]}: must be left out with into_model, got "
                    f"{getattr(self, idle[0])!r}. A full model has no rank."
                )
        elif self.base is not None:
            faults.append(
                f"base: acts only with into_model, got {self.base!r}. Leave it out."
            )
        if self.svd_iterations is not None and self.rank is None:
            faults.append(
                f"svd_iterations: needs rank, got {self.svd_iterations} without one."
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def method(self) -> str:
        """Return the name of the operator."""
        return str(self.merge["name"])

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of the operator."""
        return {name: v for name, v in self.merge.items() if name != "name"}

    @property
    def weights(self) -> list[float] | None:
        """Return one weight per adapter, or None."""
        found = [each.weight for each in self.adapters if each.weight is not None]
        return found or None
