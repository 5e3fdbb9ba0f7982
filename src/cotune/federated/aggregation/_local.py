"""Local training: nothing is shared, the bar that sharing must clear."""

from __future__ import annotations

from ._mean import MeanAggregator


class Local(MeanAggregator):
    """Share nothing: every client trains alone.

    The server's state has no tensors. Counts as linear, as an empty sum.
    """

    shared = ()
    private = ("A", "B")
    exact = "local"
