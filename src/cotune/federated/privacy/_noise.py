"""Gaussian noise: repeatable from a seed, or from the operating system."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

_log = logging.getLogger(__name__)


@cache
def tell_that_noise_can_be_taken_away() -> None:
    """Log, once per process, that noise from a seed is for experiments."""
    _log.warning(
        "privacy: source: seed draws noise that whoever has the recipe can take away "
        "again, so the epsilon that is told protects nobody. Set source: system where "
        "the rows are real."
    )


def draw_noise(
    shape: Sequence[int], std: float, generator: torch.Generator | None
) -> Float64[Tensor, "*shape"]:
    """Draw independent N(0, std^2).

    Args:
        shape: Of the result.
        std: Standard deviation, at least 0.
        generator: Source of chance, so that a run can be repeated. Whoever knows its
            seed can take the noise away again. None: the operating system's
            cryptographic source, which nobody can repeat.

    Returns:
        A float64 tensor on the CPU.

    Source: of the secure form: arXiv:2107.10138, the sum of four draws halved, against
    attacks through the gaps between floating-point numbers.
    """
    if generator is not None:
        draw = torch.randn(
            tuple(shape), generator=generator, dtype=torch.float64, device="cpu"
        )
        return draw * std
    count = int(np.prod(shape, dtype=np.int64))
    total = np.zeros(count)
    for _ in range(4):
        total += _secure_normals(count)
    return torch.from_numpy(total * (std / 2)).reshape(tuple(shape))


def _secure_normals(count: int) -> np.ndarray:
    """Draw standard normals by Box and Muller from the system's random bytes."""
    half = (count + 1) // 2
    words = np.frombuffer(os.urandom(16 * half), dtype=np.uint64).reshape(2, half)
    # The middle of 2^53 equal steps: never 0, so the logarithm is finite.
    radius_share, turn = ((words >> np.uint64(11)) + 0.5) * 2.0**-53
    radius = np.sqrt(-2 * np.log(radius_share))
    pair = (radius * np.cos(2 * np.pi * turn), radius * np.sin(2 * np.pi * turn))
    return np.concatenate(pair)[:count]
