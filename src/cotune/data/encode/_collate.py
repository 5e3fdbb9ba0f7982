"""Encoded rows to a batch of tensors. Every batch keeps ``tasks``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from ..._registry import Registry
from ._tokens import IGNORED, get_pad_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]
Batch = dict[str, Tensor]
Collator = Callable[[Sequence[Row]], Batch]

COLLATORS: Registry[Callable[[Padding], Collator]] = Registry(
    "collator",
    {
        "causal": "cotune.data.encode._collate:CausalCollator",
        "causal_options": "cotune.data.encode._collate:CausalOptionsCollator",
        "causal_prompt": "cotune.data.encode._collate:CausalPromptCollator",
        "embedding": "cotune.data.encode._collate:EmbeddingCollator",
        "classes": "cotune.data.encode._collate:ClassesCollator",
    },
)


@dataclass(frozen=True)
class Padding:
    """How rows of different lengths become one tensor.

    Args:
        pad_id: Token that fills up short rows; it is masked.
        multiple: Lengths are rounded up to a multiple of it (8 suits GPUs).
    """

    pad_id: int
    multiple: int = 1

    def pad(
        self,
        rows: Sequence[Sequence[int]],
        fill: int,
        *,
        side: Literal["left", "right"] = "right",
    ) -> Int64[Tensor, "rows length"]:
        """Fill up rows to the same length.

        Args:
            rows: Lists of integers; at least one.
            fill: What fills up.
            side: Where it goes.

        Returns:
            A tensor (rows, length).
        """
        longest = max(map(len, rows))
        length = -(-longest // self.multiple) * self.multiple
        padded = torch.full((len(rows), length), fill, dtype=torch.int64)
        for target, row in zip(padded, rows, strict=True):
            place = slice(len(row)) if side == "right" else slice(-len(row), None)
            target[place] = torch.tensor(row)
        return padded

    def pad_ids(
        self,
        rows: Sequence[Sequence[int]],
        *,
        prefix: str = "",
        side: Literal["left", "right"] = "right",
    ) -> Batch:
        """Fill up rows of token ids, and mask what was filled.

        Args:
            rows: Token ids; at least one row, each with at least one token.
            prefix: Goes before both names.
            side: Where the padding goes.

        Returns:
            ``input_ids`` and ``attention_mask`` (1: a token), both (rows, length).
        """
        ones = [[1] * len(row) for row in rows]
        return {
            f"{prefix}input_ids": self.pad(rows, self.pad_id, side=side),
            f"{prefix}attention_mask": self.pad(ones, 0, side=side),
        }


def build_collator(
    form: str, tokenizer: PreTrainedTokenizerBase, *, multiple: int = 1
) -> Collator:
    """Make the collator of a form of encoding.

    Args:
        form: A name of :data:`COLLATORS`; the same names as in ``ENCODERS``.
        tokenizer: Gives the padding token.
        multiple: Lengths are rounded up to a multiple of it.

    Returns:
        A function from a list of encoded rows to a batch.
    """
    return COLLATORS[form](Padding(get_pad_id(tokenizer), multiple))


@dataclass(frozen=True)
class CausalCollator:
    """Batch of form ``causal``.

    Gives ``input_ids``, ``attention_mask``, ``labels`` (batch, length), padded on the
    right, and ``tasks`` (batch,).
    """

    padding: Padding

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Join encoded rows."""
        return {
            **self.padding.pad_ids([row["input_ids"] for row in rows]),
            "labels": self.padding.pad([row["labels"] for row in rows], IGNORED),
            "tasks": _column(rows, "tasks"),
        }


@dataclass(frozen=True)
class CausalOptionsCollator:
    """Batch of form ``causal_options``: all options of all rows, one after the other.

    Gives ``input_ids``, ``attention_mask``, ``labels`` (options, length), ``tasks`` and
    ``option_row`` (options,) (row of the batch that an option belongs to), and
    ``answer`` (batch,) (index of the right option within its row).
    """

    padding: Padding

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Join encoded rows."""
        counts = torch.tensor([len(row["input_ids"]) for row in rows])
        return {
            **self.padding.pad_ids([ids for row in rows for ids in row["input_ids"]]),
            "labels": self.padding.pad(
                [ids for row in rows for ids in row["labels"]], IGNORED
            ),
            "tasks": _column(rows, "tasks").repeat_interleave(counts),
            "option_row": torch.arange(len(rows)).repeat_interleave(counts),
            "answer": _column(rows, "answer"),
        }


@dataclass(frozen=True)
class CausalPromptCollator:
    """Batch of form ``causal_prompt``, to generate from.

    Gives ``input_ids``, ``attention_mask`` (batch, length), padded on the left so that
    all rows go on at the same place, and ``tasks`` (batch,).
    """

    padding: Padding

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Join encoded rows."""
        ids = [row["input_ids"] for row in rows]
        return {
            **self.padding.pad_ids(ids, side="left"),
            "tasks": _column(rows, "tasks"),
        }


@dataclass(frozen=True)
class EmbeddingCollator:
    """Batch of form ``embedding``. An option that rows of one task share comes once.

    Gives ``input_ids``, ``attention_mask`` (batch, length) and ``tasks`` (batch,) of
    the prompts; ``option_input_ids``, ``option_attention_mask`` (options, length) and
    ``option_tasks`` (options,) of the options; ``option_index`` (batch, most options of
    a row), which points at the options, -1 where a row has fewer; and ``labels``
    (batch,), the index of the right option within its row.
    """

    padding: Padding

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Join encoded rows."""
        # Per task: the adapter, and with it the embedding, differs from task to task.
        known: dict[tuple[int, tuple[int, ...]], int] = {}
        index = [
            [
                known.setdefault((row["tasks"], tuple(ids)), len(known))
                for ids in row["option_ids"]
            ]
            for row in rows
        ]
        options = [ids for _, ids in known]
        return {
            **self.padding.pad_ids([row["input_ids"] for row in rows]),
            "tasks": _column(rows, "tasks"),
            **self.padding.pad_ids(options, prefix="option_"),
            "option_tasks": torch.tensor([task for task, _ in known]),
            "option_index": Padding(self.padding.pad_id).pad(index, -1),
            "labels": _column(rows, "labels"),
        }


@dataclass(frozen=True)
class ClassesCollator:
    """Batch of form ``classes``.

    Gives ``input_ids``, ``attention_mask`` (batch, length), ``labels`` (batch,) and
    ``tasks`` (batch,).
    """

    padding: Padding

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Join encoded rows."""
        return {
            **self.padding.pad_ids([row["input_ids"] for row in rows]),
            "labels": _column(rows, "labels"),
            "tasks": _column(rows, "tasks"),
        }


def _column(rows: Sequence[Row], name: str) -> Int64[Tensor, " batch"]:
    return torch.tensor([row[name] for row in rows], dtype=torch.int64)
