"""Parts of a task: a validation part cut from the training rows, limits, leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field

from .._errors import ConfigError
from .._spec import Spec
from ._table import each_row

if TYPE_CHECKING:
    from datasets import Dataset


class LimitSpec(Spec):
    """How much of a task is used. None: as the data section says, or no limit."""

    train_rows: int | None = Field(
        default=None,
        ge=1,
        description="Most training rows, drawn with the seed after the validation part "
        "is cut. The rows of a smaller limit are among those of a larger one.",
    )
    test_rows: int | None = Field(
        default=None,
        ge=1,
        description="Most test rows, drawn with a fixed seed, so that runs with "
        "different seeds are tested on the same rows.",
    )
    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Most tokens of prompt and answer together; longer prompts lose "
        "their start. None: `encode.max_length`.",
    )


def cut_validation(
    rows: Dataset,
    *,
    share: float,
    train_rows: int | None,
    generator: torch.Generator,
) -> tuple[Dataset, Dataset | None]:
    """Cut a validation part from training rows, then limit what is left.

    One permutation decides both. So with the same generator the validation part is
    the same for every ``train_rows``, and smaller training parts lie inside larger
    ones.

    Args:
        rows: Training rows.
        share: Part of the rows for validation, in [0, 1); at least one row unless 0.
        train_rows: Most training rows; None: all that are left.
        generator: Source of chance.

    Returns:
        The training part, and the validation part or None; both in file order.

    Raises:
        ConfigError: No training row would be left.
    """
    held = max(1, round(share * len(rows))) if share > 0 else 0
    if held >= len(rows):
        raise ConfigError(
            f"validation_share: at least one training row must be left, got share "
            f"{share} of {len(rows)} rows. Lower it, or give a validation file."
        )
    order = torch.randperm(len(rows), generator=generator)
    left = order[held:][:train_rows]
    train = rows.select(left.sort().values.tolist())
    if not held:
        return train, None
    return train, rows.select(order[:held].sort().values.tolist())


def draw_rows(rows: Dataset, most: int | None, generator: torch.Generator) -> Dataset:
    """Draw rows without replacement.

    Args:
        rows: Rows to draw from.
        most: How many at most; None: all.
        generator: Source of chance.

    Returns:
        The drawn rows, in file order; ``rows`` itself if there are no more than
        ``most``.
    """
    if most is None or most >= len(rows):
        return rows
    order = torch.randperm(len(rows), generator=generator)[:most]
    return rows.select(order.sort().values.tolist())


def find_leaks(train: Dataset, test: Dataset) -> list[str]:
    """Find test rows whose input is also a training row's.

    Args:
        train: Training rows, in the form of :func:`check_rows`.
        test: Test rows, in the same form.

    Returns:
        Where the leaked test rows stand, in file order. The order of options, and
        outer blanks of the prompt, make no difference; the answer is not looked at.
    """
    known = {_input_of(row) for row in each_row(train)}
    return [row["where"] for row in each_row(test) if _input_of(row) in known]


def _input_of(row: dict[str, Any]) -> int:
    # Hashes, not texts: a large training file need not be in memory twice.
    if "messages" in row:
        return hash(tuple((m["role"], m["content"]) for m in row["messages"][:-1]))
    return hash((row["prompt"].strip(), tuple(sorted(row["options"] or ()))))
