"""The update s B C S A x: one pass, fast where the base layer is a plain linear.

Knows no PEFT and no config; a :class:`Term` says all there is to know. Two ways lead to
the same numbers:

* generic: calls the base layer and adds the update. Works for every base layer.
* fast: the frozen weight is inside one autograd function. Saved for backward: x, which
  the base would not need, and products r numbers wide. Both updates, of the output and
  of the gradient of x, are added in place.

Thin products want their long axis inside: grad_B is h^T g, never g^T h. This is why the
B bank is stored r x d_out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.pytorch_utils import Conv1D

from ._core import Core


@dataclass(frozen=True)
class Term:
    """One adapter's update of one layer, ready to compute.

    ``R`` is r, or 2 r where the frozen copies of a start ride along as the last r rows.

    Args:
        down: Blocks of A, (K, R, d_in), or (batch, K, R, d_in) with one set per sample.
        up: Blocks of B, (K2, R, d_out), or (batch, K2, R, d_out).
        scale: s.
        rank: r.
        batch: Number of samples; needed where anything differs per sample.
        router: Router rows, (experts, d_in), or None.
        gate: Weights of the blocks per sample, (batch, blocks), or None.
        core: Which core to apply, or None.
        core_rows: The core of every sample, batch first; None without a core.
        dropout: Probability of zeroing an entry of x, in [0, 1).
        on_router: Told the router's probabilities, (batch, tokens, experts).
    """

    down: Tensor
    up: Tensor
    scale: float
    rank: int
    batch: int = 1
    router: Float[Tensor, "experts d_in"] | None = None
    gate: Float[Tensor, "batch blocks"] | None = None
    core: Core | None = None
    core_rows: Tensor | None = None
    dropout: float = 0.0
    on_router: Callable[[Tensor], None] | None = None

    @property
    def per_sample(self) -> bool:
        """Whether each sample has factors of its own."""
        return self.down.ndim == 4 or self.up.ndim == 4


def collaborate(
    x: Float[Tensor, "*batch d_in"],
    base_layer: nn.Module,
    terms: Sequence[Term],
    *args: Any,
    fast: bool = True,
    **kwargs: Any,
) -> Float[Tensor, "*batch d_out"]:
    """Compute base(x) plus the updates of all terms.

    Args:
        x: Input; the samples are on the first axis, in groups of equal length.
        base_layer: The frozen layer.
        terms: Updates to add, at least one.
        *args: Passed to the base layer.
        fast: Take the fast way where it applies; else always the generic one.
        **kwargs: Passed to the base layer.

    Returns:
        The output, in the dtype of the base layer's output.
    """
    plain = None if args or kwargs or not fast else plain_weight(base_layer)
    if plain is None or torch.compiler.is_compiling():
        y = base_layer(x, *args, **kwargs)
        rest = terms
    else:
        y = _fast(x, *plain, terms[0])
        rest = terms[1:]
    for term in rest:
        y = y + update(x, term).to(y.dtype)
    return y


def update(
    x: Float[Tensor, "*batch d_in"], term: Term
) -> Float[Tensor, "*batch d_out"]:
    """Compute one update alone, by plain autograd.

    Args:
        x: Input, as in :func:`collaborate`.
        term: The update.

    Returns:
        The update of every token, in the dtype of x (or of autocast).
    """
    grouped = _group(x, term)
    down, up = (_flatten(bank).to(x.dtype) for bank in (term.down, term.up))
    dropped = (
        F.dropout(grouped, term.dropout, training=True) if term.dropout else grouped
    )
    hidden = dropped @ down.mT
    out = _mix(hidden, _logits(grouped, term), term) @ up
    return out.reshape(*x.shape[:-1], up.shape[-1])


def plain_weight(base_layer: nn.Module) -> tuple[Tensor, Tensor | None] | None:
    """Return (weight (d_out, d_in), bias) if the fast way may stand in for the layer.

    It may not where someone could tell the difference: subclasses, quantised or sharded
    weights, hooks, replaced ``forward`` methods, trained base weights.
    """
    if type(base_layer) not in (nn.Linear, Conv1D):
        return None
    weight, bias = base_layer.weight, base_layer.bias
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    hooked = (
        base_layer._forward_hooks
        or base_layer._forward_pre_hooks
        or base_layer._backward_hooks
        or base_layer._backward_pre_hooks
        or "forward" in base_layer.__dict__
    )
    if trained or hooked or type(weight) is not nn.Parameter:
        return None
    if not weight.dtype.is_floating_point:
        return None
    return (weight if type(base_layer) is nn.Linear else weight.t()), bias


def _fast(x: Tensor, weight: Tensor, bias: Tensor | None, term: Term) -> Tensor:
    dtype = _compute_dtype(x, weight)
    x = x.to(dtype)
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    down, up = _flatten(term.down).to(dtype), _flatten(term.up).to(dtype)
    grouped = _group(x, term)
    keep = _keep_mask(grouped, term.dropout)
    joined = _can_join(term, dtype)
    if joined:
        assert term.router is not None
        down = torch.cat([down, term.router.to(dtype)])
    y, hidden = _LinearAndDown.apply(grouped, weight, bias, down, keep, term.dropout)
    if joined:
        hidden, logits = hidden.split(
            [len(down) - len(term.router), len(term.router)], -1
        )
    else:
        logits = _logits(grouped, term)
    y = _AddUp.apply(y, _mix(hidden, logits, term), up)
    return y.view(*x.shape[:-1], y.shape[-1])


def _compute_dtype(x: Tensor, weight: Tensor) -> torch.dtype:
    """Return the dtype that the base product has: autocast's, or that of the weight."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return weight.dtype


def _can_join(term: Term, dtype: torch.dtype) -> bool:
    # A router must see x before dropout, and must be computed in fp32 at least.
    single = dtype in (torch.float32, torch.float64)
    return term.router is not None and term.dropout == 0 and single


def _keep_mask(x: Tensor, dropout: float) -> Tensor | None:
    if dropout == 0:
        return None
    return torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - dropout)


def _group(x: Tensor, term: Term) -> Tensor:
    """View x as (batch, tokens, d_in) where samples differ, else as (tokens, d_in)."""
    if not term.per_sample:
        return x.reshape(-1, x.shape[-1])
    return x.reshape(term.batch, -1, x.shape[-1])


def _flatten(bank: Tensor) -> Tensor:
    """Stack the blocks of a bank: (K, R, d) -> (K R, d), per sample alike."""
    return bank.flatten(-3, -2)


def _logits(grouped: Tensor, term: Term) -> Tensor | None:
    if term.router is None:
        return None
    dtype = torch.promote_types(grouped.dtype, torch.float32)
    with torch.autocast(grouped.device.type, enabled=False):
        return grouped.to(dtype) @ term.router.to(dtype).mT


def _mix(hidden: Tensor, logits: Tensor | None, term: Term) -> Tensor:
    """Apply core, coupling and scale in the small space, R numbers per block."""
    shape, R = hidden.shape, term.down.shape[-2]
    blocks = hidden.view(term.batch, -1, hidden.shape[-1] // R, R)
    if term.core is not None:
        blocks = _apply_core(blocks, term)
    gate = _gate(logits, term, blocks)
    if gate is not None:
        blocks = blocks * gate.unsqueeze(-1)
        if blocks.shape[-2] > term.up.shape[-3]:
            blocks = blocks.sum(-2)
    return blocks.reshape(*shape[:-1], -1) * term.scale


def _apply_core(blocks: Tensor, term: Term) -> Tensor:
    assert term.core is not None and term.core_rows is not None
    rows = term.core_rows.to(blocks.dtype)
    if blocks.shape[-1] == term.rank:
        return term.core.apply(blocks, rows)
    # The frozen copies of the start belong to the core at the start, the identity.
    own, copies = blocks[..., : term.rank], blocks[..., term.rank :]
    return torch.cat([term.core.apply(own.contiguous(), rows), copies], dim=-1)


def _gate(logits: Tensor | None, term: Term, blocks: Tensor) -> Tensor | None:
    if term.gate is not None:
        return term.gate.unsqueeze(1).to(blocks.dtype)
    if logits is None:
        return None
    shares = torch.softmax(logits, dim=-1).view(*blocks.shape[:2], -1)
    if term.on_router is not None:
        term.on_router(shares)
    return shares.to(blocks.dtype)


class _LinearAndDown(torch.autograd.Function):
    """(x W^T + b, dropout(x) A^T), with the frozen W; x is 2-D, or 3-D per sample.

    The first output is always 2-D: of a 3-D input, ``F.linear`` returns a view, which
    :class:`_AddUp` could not change in place.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        keep: Tensor | None,
        dropout: float,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, weight, down, keep)
        ctx.inverse = 1.0 / (1.0 - dropout)
        ctx.set_materialize_grads(False)
        dropped = x if keep is None else (x * keep).mul_(ctx.inverse)
        return F.linear(x.flatten(0, -2), weight, bias), dropped @ down.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad_h: Tensor | None) -> Any:
        x, weight, down, keep = ctx.saved_tensors
        grad_x = grad_down = None
        if ctx.needs_input_grad[0]:
            if grad_y is None:
                grad_x = x.new_zeros(x.shape)
            else:
                grad_x = (grad_y @ weight).view(x.shape)
            if grad_h is not None:
                _add_product(grad_x, grad_h, down, keep, ctx.inverse)
        if ctx.needs_input_grad[3] and grad_h is not None:
            kept = x if keep is None else (x * keep).mul_(ctx.inverse)
            grad_down = grad_h.mT @ kept
            if grad_down.ndim > down.ndim:
                grad_down = grad_down.sum(0)
        return grad_x, None, None, grad_down, None, None


class _AddUp(torch.autograd.Function):
    """Add z B to y in place; y is the fresh 2-D output of :class:`_LinearAndDown`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(z, up)
        ctx.mark_dirty(y)
        _add_product(y.view(*z.shape[:-1], -1), z, up, None, 1.0)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        z, up = ctx.saved_tensors
        grouped = grad.reshape(*z.shape[:-1], -1)
        grad_z = grouped @ up.mT if ctx.needs_input_grad[1] else None
        grad_up = None
        if ctx.needs_input_grad[2]:
            grad_up = z.mT @ grouped
            if grad_up.ndim > up.ndim:
                grad_up = grad_up.sum(0)
        return grad, grad_z, grad_up


def _add_product(
    out: Tensor, left: Tensor, right: Tensor, keep: Tensor | None, inverse: float
) -> None:
    """Add left @ right to ``out`` in place, with the dropout of ``out`` if any."""
    if keep is not None:
        out.add_((left @ right).mul_(keep), alpha=inverse)
    elif right.ndim == 3:
        out.baddbmm_(left, right)
    else:
        flat = out.view(-1, out.shape[-1])
        flat.addmm_(left.reshape(-1, left.shape[-1]), right)
