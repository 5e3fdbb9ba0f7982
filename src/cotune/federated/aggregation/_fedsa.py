"""FedSA-LoRA: a shared A, personal B_k."""

from __future__ import annotations

from ._mean import MeanAggregator


class FedSA(MeanAggregator):
    """Average A, keep B_k: A = sum p_k A_k.

    Fits clients whose updates share a row space.

    Source: arXiv:2410.01463 (A carries general, B local knowledge). Differs: weights
    n_k / sum n instead of 1 / K.
    """

    shared = ("A",)
    private = ("B",)
    exact = "personal"
