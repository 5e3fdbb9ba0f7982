"""Rows as token ids, in the form that a kind of base model wants, and as batches."""

from ._classes import join_labels
from ._collate import COLLATORS, Batch, Collator, Padding, build_collator
from ._encode import ENCODERS, Context, encode_task, get_part
from ._tokens import IGNORED, EncodeSpec, Tokens, get_pad_id

__all__ = [
    "COLLATORS",
    "ENCODERS",
    "IGNORED",
    "Batch",
    "Collator",
    "Context",
    "EncodeSpec",
    "Padding",
    "Tokens",
    "build_collator",
    "encode_task",
    "get_pad_id",
    "get_part",
    "join_labels",
]
