"""What every merge operator checks and prepares, once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._adapter import LowRank, as_dtype
from ..._errors import ConfigError
from ..convert._recompress import working_dtype


@dataclass(frozen=True)
class Inputs:
    """Checked inputs of a merge, in working precision.

    Args:
        updates: One per adapter, all of one shape, in fp32 (fp64 if one of them is).
        weights: One finite number per update.
        dtype: The dtype that the result is given back in.
    """

    updates: list[LowRank]
    weights: list[float]
    dtype: torch.dtype

    def positive(self) -> Inputs:
        """Move the sign of each weight into its update: -w (B A) = w (-B A)."""
        signed = [
            LowRank(update.A, -update.B) if weight < 0 else update
            for update, weight in zip(self.updates, self.weights, strict=True)
        ]
        return Inputs(signed, [abs(weight) for weight in self.weights], self.dtype)

    def deltas(self) -> list[Tensor]:
        """Multiply the updates out: n matrices of shape (d_out, d_in)."""
        return [update.delta() for update in self.updates]


def check_inputs(
    where: str, updates: Sequence[LowRank], weights: Sequence[float]
) -> Inputs:
    """Check the inputs of a merge operator and lift them to working precision.

    Args:
        where: Name of the operator, for messages.
        updates: At least one, all of one shape (d_out, d_in); ranks may differ.
        weights: As many finite numbers.

    Returns:
        The inputs; the tensors are those given where the dtype fits already.

    Raises:
        ConfigError: No update, other shapes, or weights that do not fit.
    """
    if not updates:
        raise ConfigError(f"{where}: at least one update is needed, got none.")
    shapes = {update.shape for update in updates}
    if len(shapes) > 1:
        raise ConfigError(
            f"{where}: all updates must have one shape (d_out, d_in), got "
            f"{sorted(shapes)}. Merge adapters of the same base model."
        )
    if len(weights) != len(updates) or not all(map(math.isfinite, weights)):
        raise ConfigError(
            f"{where}: weights must be {len(updates)} finite numbers, one per update, "
            f"got {list(weights)!r}."
        )
    dtypes = [tensor.dtype for update in updates for tensor in (update.A, update.B)]
    work = working_dtype(*dtypes)
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = torch.promote_types(result, dtype)
    return Inputs([as_dtype(update, work) for update in updates], list(weights), result)


def same_rank(updates: Sequence[LowRank]) -> list[LowRank]:
    """Pad all updates with zero rows of A and zero columns of B to the largest rank."""
    rank = max(update.rank for update in updates)
    return [pad_rank(update, rank) for update in updates]


def pad_rank(update: LowRank, rank: int) -> LowRank:
    """Add zero rows to A and zero columns to B; the product stays the same.

    Args:
        update: A of shape (r, d_in), B of shape (d_out, r).
        rank: The new r, not below the old one.

    Returns:
        The padded update; the same object if there is nothing to add.
    """
    missing = rank - update.rank
    if missing == 0:
        return update
    rows = update.A.new_zeros(missing, update.A.shape[1])
    columns = update.B.new_zeros(update.B.shape[0], missing)
    return LowRank(torch.cat([update.A, rows]), torch.cat([update.B, columns], dim=1))


def check_share(where: str, name: str, value: float, *, zero: bool = True) -> None:
    """Refuse a share outside [0, 1], or outside (0, 1] if ``zero`` is False."""
    if not (0 <= value <= 1) or (value == 0 and not zero):
        interval = "[0, 1]" if zero else "(0, 1]"
        raise ConfigError(f"{where}: {name} must be in {interval}, got {value!r}.")
