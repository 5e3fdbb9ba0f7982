"""FedDPA: an averaged global pair beside a personal pair."""

from __future__ import annotations

from ._mean import MeanAggregator


class FedDPA(MeanAggregator):
    """Average the global pair (A, B), keep the local pair (A_own, B_own).

    Not exact for the product of the global pair: cross terms, as in `fedit`.

    Source: arXiv:2403.19211, a global and a local adapter.
    """

    shared = ("A", "B")
    private = ("A_own", "B_own")
    exact = "no"
