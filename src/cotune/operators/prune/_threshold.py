"""The k-th largest magnitude over tensors that never lie in memory together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..._errors import ConfigError
from ..convert._recompress import working_dtype

DIGIT = 16


def magnitude_threshold(
    tensors: Callable[[], Iterable[Tensor]], kept: int, dtype: torch.dtype
) -> float:
    """Find the magnitude that the ``kept`` largest entries reach.

    A radix selection on the bits of |x|, which sort as the numbers do: a histogram of
    the upper 16 bits, then of the next 16 within the bin found. Exact, in two passes
    (fp32) or four (fp64), with one tensor and one histogram in memory.

    Args:
        tensors: Gives the tensors, the same ones at each call; they may be computed on
            the way, one at a time.
        kept: How many entries stay, from 0 to the number of all entries.
        dtype: ``torch.float32`` or ``torch.float64``; what magnitudes are compared in.

    Returns:
        t such that at least ``kept`` entries have |x| >= t, and more only where several
        equal t. Infinity if ``kept`` is 0.

    Raises:
        ConfigError: An entry is NaN or infinite.
    """
    if kept == 0:
        return math.inf
    width = torch.finfo(dtype).bits
    prefix, wanted = 0, kept
    for shift in range(width - DIGIT, -1, -DIGIT):
        counts = torch.zeros(2**DIGIT, dtype=torch.int64)
        for tensor in tensors():
            counts += _digits(tensor, dtype, shift, prefix)
        above = counts.flip(0).cumsum(0)
        place = int((above < wanted).sum())
        wanted -= int(above[place - 1]) if place else 0
        prefix = (prefix << DIGIT) | (2**DIGIT - 1 - place)
    bits = torch.tensor(prefix, dtype=_integer(dtype))
    return bits.view(dtype).item()


def keep_largest(tensor: Tensor, density: float) -> Tensor:
    """Zero all but the largest-magnitude share of one tensor.

    Args:
        tensor: Any shape and float dtype.
        density: Share of the entries that stays, in [0, 1]; see :func:`count_kept`.
            Entries equal to the smallest one kept stay too, so that the result does not
            depend on the order of equal entries.

    Returns:
        A new tensor of the same shape, dtype and device.

    Raises:
        ConfigError: An entry is NaN or infinite: it would be dropped without a word.
    """
    kept = count_kept(tensor.numel(), density)
    if kept == 0:
        return torch.zeros_like(tensor)
    flat = _finite(tensor).to(working_dtype(tensor.dtype)).abs().flatten()
    # One selection is faster here than the two passes of magnitude_threshold.
    threshold = flat.kthvalue(flat.numel() - kept + 1).values.item()
    return keep_above(tensor, threshold)


def count_kept(total: int, density: float) -> int:
    """Turn a share into a number of entries: at least one unless the share is 0.

    Args:
        total: How many entries there are.
        density: Share that stays, in [0, 1].

    Returns:
        round(density * total), but at least 1 where density > 0 and total > 0.
    """
    return min(total, max(1, round(density * total))) if density > 0 else 0


def keep_above(tensor: Tensor, threshold: float) -> Tensor:
    """Return a copy in which entries with |x| below the threshold are zero."""
    magnitude = tensor.to(working_dtype(tensor.dtype)).abs()
    return tensor.where(magnitude >= threshold, 0)


def _integer(dtype: torch.dtype) -> torch.dtype:
    return torch.int64 if dtype == torch.float64 else torch.int32


def _digits(tensor: Tensor, dtype: torch.dtype, shift: int, prefix: int) -> Tensor:
    """Count the 16-bit digits at ``shift`` of entries that begin with ``prefix``."""
    bits = _finite(tensor).detach().to(dtype).abs().flatten().view(_integer(dtype))
    if shift + DIGIT < torch.finfo(dtype).bits:
        bits = bits[(bits >> (shift + DIGIT)) == prefix]
    digits = (bits >> shift) & (2**DIGIT - 1)
    return torch.bincount(digits, minlength=2**DIGIT).cpu()


def _finite(tensor: Tensor) -> Tensor:
    if not torch.isfinite(tensor).all():
        raise ConfigError(
            "magnitude: entries must be finite, got NaN or infinity. "
            "Check the training run that wrote the adapter."
        )
    return tensor
