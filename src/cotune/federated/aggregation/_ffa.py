"""FFA-LoRA: a frozen A, an averaged B."""

from __future__ import annotations

from ._mean import MeanAggregator


class FFA(MeanAggregator):
    """Average B; A is frozen, and the same for all clients (drawn from a common seed).

    Exact for the product: sum p_k s B_k A = s (sum p_k B_k) A.

    Source: arXiv:2403.12313.
    """

    shared = ("B",)
    frozen = ("A",)
    exact = "product"
