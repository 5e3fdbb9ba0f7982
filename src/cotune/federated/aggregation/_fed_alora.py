"""Fed-ALoRA for clients of one rank: a shared B, personal A_k."""

from __future__ import annotations

from ._mean import MeanAggregator


class FedALoRA(MeanAggregator):
    """Average B, keep A_k: B = sum p_k B_k.

    Fits clients whose updates share a column space. For clients of different ranks see
    `fed-alora-any`.

    Source: arXiv:2509.25414, Fed-ALoRA, equal ranks. Differs: A_k persists over rounds;
    the released code resets it to the same start each round.
    """

    shared = ("B",)
    private = ("A",)
    exact = "personal"
