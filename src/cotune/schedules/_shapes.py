"""Shapes of p(t) in stage 1. Each maps x, the share of stage 1 done, to [0, 1].

Source: CoTo (arXiv:2506.05713), linear; the others are its alternatives.
"""

from __future__ import annotations

import math


def linear(x: float) -> float:
    """Return x.

    Args:
        x: Share of stage 1 that is done, in [0, 1).
    """
    return x


def sine(x: float) -> float:
    """Return sin(pi x / 2): fast first, then slow.

    Args:
        x: Share of stage 1 that is done, in [0, 1).
    """
    return math.sin(math.pi * x / 2)


def exponential(x: float) -> float:
    """Return (e^x - 1) / (e - 1): slow first, then fast.

    Args:
        x: Share of stage 1 that is done, in [0, 1).
    """
    return math.expm1(x) / math.expm1(1)


def constant(x: float) -> float:
    """Return 0, so that p stays p0 in all of stage 1: stochastic depth.

    Args:
        x: Share of stage 1 that is done, in [0, 1). Not looked at.
    """
    return 0.0
