"""How p depends on depth. Each maps (p, z) to the probability at depth z in [0, 1].

The paper names the variants H and L and prints no formula. Ours moves p by the same
amount up at one end and down at the other, as far as [0, 1] allows, so that the mean
over evenly spaced depths is still p and the active share of a run does not change.
"""

from __future__ import annotations


def uniform(p: float, z: float) -> float:
    """Return p at every depth.

    Args:
        p: Mean probability, in [0, 1].
        z: Depth, 0 at the input and 1 at the output. Not looked at.
    """
    return p


def drop_high(p: float, z: float) -> float:
    """Drop high layers more (H): p - (2 z - 1) min(p, 1 - p).

    Args:
        p: Mean probability, in [0, 1].
        z: Depth, 0 at the input and 1 at the output.

    Source: variant H of CoTo (arXiv:2506.05713); the formula is ours.
    """
    return p - (2 * z - 1) * min(p, 1 - p)


def drop_low(p: float, z: float) -> float:
    """Drop low layers more (L): p + (2 z - 1) min(p, 1 - p).

    Args:
        p: Mean probability, in [0, 1].
        z: Depth, 0 at the input and 1 at the output.

    Source: variant L of CoTo (arXiv:2506.05713); the formula is ours.
    """
    return p + (2 * z - 1) * min(p, 1 - p)
