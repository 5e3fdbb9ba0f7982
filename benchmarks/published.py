"""The layers as their papers' code computes them, written anew for comparison.

One product pair per (i, j), one loop over experts, d_out-wide sums. The mathematics is
that of our layer; only the order of work differs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class PublishedLayer(nn.Module):
    """A frozen linear plus factors as separate ``nn.Linear`` modules."""

    def __init__(self, base: nn.Linear, M: int, N: int, r: int, alpha: float) -> None:
        super().__init__()
        self.base = base
        kind = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.A = nn.ModuleList(
            nn.Linear(base.in_features, r, bias=False, **kind) for _ in range(M)
        )
        self.B = nn.ModuleList(
            nn.Linear(r, base.out_features, bias=False, **kind) for _ in range(N)
        )
        self.scale = alpha / r
        experts = max(M, N)
        self.router = nn.Linear(base.in_features, experts, bias=False, **kind)


class PublishedCoLA(PublishedLayer):
    """CoLA, full: a pair of products for every (i, j)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return base(x) plus the sum over all pairs."""
        out = self.base(x)
        for A in self.A:
            for B in self.B:
                out = out + B(A(x)) * self.scale
        return out


class PublishedALoRA(PublishedLayer):
    """ALoRA: a loop over the A experts, with B inside the loop."""

    def forward(self, x: Tensor) -> Tensor:
        """Return base(x) plus the gated sum."""
        out = self.base(x)
        gate = torch.softmax(self.router(x), dim=-1)
        for i, A in enumerate(self.A):
            out = out + gate[..., i : i + 1] * self.B[0](A(x)) * self.scale
        return out


class PublishedHydra(PublishedLayer):
    """HydraLoRA: a loop over the B heads."""

    def forward(self, x: Tensor) -> Tensor:
        """Return base(x) plus the gated sum."""
        out = self.base(x)
        gate = torch.softmax(self.router(x), dim=-1)
        for j, B in enumerate(self.B):
            out = out + gate[..., j : j + 1] * B(self.A[0](x)) * self.scale
        return out


def replace_linears(
    model: nn.Module, make: Callable[[nn.Linear], nn.Module], skip: str = "lm_head"
) -> nn.Module:
    """Put a layer in the place of every linear but the head; returns the model."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and name != skip:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, make(module))
    return model
