"""The section of a recipe that names the base model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ..._errors import unknown_name
from ..._spec import Spec


class BaseSpec(Spec):
    """Which model is adapted, and how it is loaded."""

    name: str = Field(
        default="embedded",
        min_length=1,
        description="embedded: the small model that comes with cotune. A name of a "
        "packaged model (all-MiniLM-L6-v2). Else a folder, or a name on the Hugging "
        "Face hub.",
    )
    kind: str = Field(
        default="causal",
        description="causal: a language model that scores or writes answers. "
        "embedding: an encoder that matches prompt and options. classifier: an encoder "
        "with a head.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Type of the base weights; auto: as they are stored.",
    )
    revision: str | None = Field(
        default=None, description="Commit, branch or tag on the hub."
    )
    device_map: str | None = Field(
        default=None,
        description="Where the weights go, as in transformers, e.g. auto. None: one "
        "device. Not with several processes.",
    )
    quantization: Literal["8bit", "4bit"] | None = Field(
        default=None, description="Load the base quantised (needs bitsandbytes)."
    )
    attn_implementation: str | None = Field(
        default=None, description="Attention, as transformers names it, e.g. sdpa."
    )
    labels: tuple[str, ...] | None = Field(
        default=None,
        description="For kind classifier: the outputs of the head, in order. None: the "
        "labels of the tasks.",
    )

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind: str) -> str:
        from . import BASES

        if kind not in BASES:
            raise ValueError(unknown_name(BASES.kind, kind, BASES))
        return kind
