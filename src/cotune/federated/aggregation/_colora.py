"""CoLoRA (shared factors, personal core): A and B shared, S_k personal."""

from __future__ import annotations

from ._mean import MeanAggregator


class CoLoRA(MeanAggregator):
    """Average A and B, keep the core: delta_k = s B S_k A.

    A client that joins later fits its private part alone, r x r numbers per layer.
    CoLoRA here is arXiv:2602.07218, not one of the other papers of that name.

    Source: arXiv:2602.07218; the form with the stated O(d r + k r^2) parameters.
    """

    shared = ("A", "B")
    private = ("core",)
    exact = "personal"
