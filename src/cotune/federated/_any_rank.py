"""Fed-ALoRA for clients of any ranks, on a model: a B that is made of other factors.

    y = W0 x + s (B0 + B2 B1) M A x

is a LoRA layer with B = (B0 + B2 B1) M, of shape (d_out, r_k). So the layer stays as it
is, and only its bank of B is replaced by one that computes B from what is trained. The
product costs d_out d_m r_k per pass, whatever the batch.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..adapters import CollaborativeLayer

ROLES = ("M", "B0", "B1", "B2")


class ProductBank(nn.Module):
    """The bank of B of one layer, computed from M, B0, B1 and B2 when it is read.

    Stands where the layer has a dictionary of parameters, for one adapter.

    Args:
        adapter_name: Whose.
        rank: r_k.
        width: d_m, the width that all clients share.
        d_out: Outputs of the layer.

    Attributes:
        M: (d_m, r_k), private, drawn once from Kaiming-uniform.
        B0: (d_out, d_m), the accumulator; a buffer, since clients do not train it.
        B1: (r_k, d_m), drawn afresh each round.
        B2: (d_out, r_k), zero at the start of each round.
    """

    B0: Tensor

    def __init__(self, adapter_name: str, rank: int, width: int, d_out: int) -> None:
        super().__init__()
        self._adapter_name = adapter_name
        self.M = nn.Parameter(_kaiming(width, rank))
        self.B1 = nn.Parameter(_kaiming(rank, width))
        self.B2 = nn.Parameter(torch.zeros(d_out, rank))
        self.register_buffer("B0", torch.zeros(d_out, width))

    def __contains__(self, adapter_name: object) -> bool:
        return adapter_name == self._adapter_name

    def __getitem__(self, adapter_name: str) -> Float[Tensor, "1 r d_out"]:
        assert adapter_name == self._adapter_name
        B = (self.B0 + self.B2 @ self.B1) @ self.M
        return B.mT.unsqueeze(0)

    def items(self) -> list[tuple[str, nn.Parameter]]:
        """Return nothing: B is computed, and PEFT cannot freeze it."""
        return []

    def values(self) -> list[nn.Parameter]:
        """Return nothing, as :meth:`items`."""
        return []


def make_any_rank(layers: dict[str, CollaborativeLayer], name: str, width: int) -> None:
    """Give layers a B that is made of M, B0, B1 and B2.

    Args:
        layers: With a plain LoRA adapter; changed in place.
        name: Of the adapter.
        width: d_m, at least 1.
    """
    for layer in layers.values():
        A = layer.cotune_A[name]
        bank = ProductBank(name, A.shape[1], width, layer.out_features)
        layer.cotune_B = cast(Any, bank.to(A.device, A.dtype))


def any_rank_roles(layer: CollaborativeLayer) -> dict[str, Tensor] | None:
    """Return role -> tensor of the bank of B; None if it is a plain one."""
    bank: Any = layer.cotune_B
    if not isinstance(bank, ProductBank):
        return None
    return {role: getattr(bank, role) for role in ROLES}


def _kaiming(rows: int, columns: int) -> Tensor:
    """Draw from U(-b, b), b = 1 / sqrt(columns), as the start of A does."""
    return torch.empty(rows, columns).uniform_(-1, 1) / math.sqrt(columns)
