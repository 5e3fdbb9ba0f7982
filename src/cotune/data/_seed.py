"""Random generators that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib

import torch


def make_generator(*parts: int | str) -> torch.Generator:
    """Make a CPU generator whose seed is a hash of the given parts.

    Each use of chance names itself, e.g. ``make_generator(seed, "split", task)``. So a
    new task does not change what another task draws, and the state of torch's global
    generator plays no role.

    Args:
        parts: Seed and names, in an order that means something. ``1`` and ``"1"`` are
            different parts.

    Returns:
        A new generator; the same parts always give the same stream.

    Example:
        >>> torch.randperm(6, generator=make_generator(0, "split")).tolist()
        [1, 3, 2, 0, 5, 4]
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    # 63 bits, because manual_seed takes a signed 64-bit integer.
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
