"""FedIT: FedAvg of both factors."""

from __future__ import annotations

from ._mean import MeanAggregator


class FedIT(MeanAggregator):
    """Average both factors: A = sum p_k A_k, B = sum p_k B_k.

    Not exact for the product: (sum p B)(sum p A) has the cross terms p_i p_j B_i A_j.

    Source: arXiv:2305.05644, FedAvg over the LoRA weights.
    """

    shared = ("A", "B")
    exact = "no"
