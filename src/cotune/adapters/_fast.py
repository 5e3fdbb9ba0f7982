"""The fast way: autograd functions that hold the frozen weight.

Saved for backward: x, which the base would not need, and products r numbers wide. No
update is a tensor of its own: the base product is added to the one of the output, and
that of the gradient of x is added in place.

Thin products want their long axis inside: grad_B is h^T g, never g^T h, which is 2 to 3
times slower on a CPU. This is why the B bank is stored r x d_out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._product import Term, group_tokens, mix_hidden, router_logits, stack_blocks

Remake = Callable[[], tuple[Tensor, Tensor]]


def fast_collaborate(
    x: Float[Tensor, "*batch d_in"],
    weight: Float[Tensor, "d_out d_in"],
    bias: Float[Tensor, " d_out"] | None,
    term: Term,
) -> Float[Tensor, "*batch d_out"]:
    """Compute x W^T + b plus one update.

    Args:
        x: Input; the samples are on the first axis, in groups of equal length.
        weight: Frozen weight.
        bias: Frozen bias, or None.
        term: The update.

    Returns:
        The output, in the dtype of the weight, or of autocast.
    """
    dtype, shape = _compute_dtype(x, weight), x.shape[:-1]
    x = x.to(dtype)
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    down, up = stack_blocks(term.down).to(dtype), stack_blocks(term.up).to(dtype)
    grouped = group_tokens(x, term)
    keep = _keep_mask(grouped, term.dropout)
    if term.plain:
        y = _Plain.apply(
            grouped, weight, bias, down, up, keep, term.dropout, term.scale, term.remake
        )
        return y.view(*shape, y.shape[-1])
    joined = _can_join(term, dtype)
    if joined:
        assert term.router is not None
        down = torch.cat([down, term.router.to(dtype)])
    through, hidden = _Down.apply(grouped, down, keep, term.dropout)
    if joined:
        assert term.router is not None
        experts = len(term.router)
        hidden, logits = hidden.split([len(down) - experts, experts], -1)
    else:
        logits = router_logits(grouped, term)
    z = mix_hidden(hidden, logits, term)
    y = _LinearAndUp.apply(through, weight, bias, z, up)
    return y.view(*shape, y.shape[-1])


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


class _Plain(torch.autograd.Function):
    """x W^T + b + s dropout(x) A^T B in one node; x is 2-D, or 3-D per sample."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        keep: Tensor | None,
        dropout: float,
        scale: float,
        remake: Remake | None,
    ) -> Tensor:
        ctx.inverse, ctx.scale = 1.0 / (1.0 - dropout), scale
        z = (_dropped(x, keep, ctx.inverse) @ down.mT).mul_(scale)
        y = _up_and_linear(x, weight, bias, z, up)
        ctx.remake, ctx.dtype = remake, down.dtype
        factors = () if remake else (down, up)
        ctx.save_for_backward(x, weight, z, keep, *factors)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore
        (grad,) = grads
        x, weight, z, keep, *factors = ctx.saved_tensors
        if ctx.remake is not None:
            factors = [stack_blocks(bank).to(ctx.dtype) for bank in ctx.remake()]
        down, up = factors
        grouped = grad.reshape(*z.shape[:-1], -1)
        grad_z = (grouped @ up.mT).mul_(ctx.scale)
        grad_x = grad_down = grad_up = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).view(x.shape)
            _add_product(grad_x, grad_z, down, keep, ctx.inverse)
        if ctx.needs_input_grad[3]:
            grad_down = _thin(grad_z, _dropped(x, keep, ctx.inverse), down.ndim)
        if ctx.needs_input_grad[4]:
            grad_up = _thin(z, grouped, up.ndim)
        return grad_x, None, None, grad_down, grad_up, None, None, None, None


class _Down(torch.autograd.Function):
    """(x, dropout(x) A^T); x is 2-D, or 3-D per sample.

    x goes through, so that its gradient comes back here, and the other part of it is
    added in place.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, down: Tensor, keep: Tensor | None, dropout: float
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, down, keep)
        ctx.inverse = 1.0 / (1.0 - dropout)
        ctx.set_materialize_grads(False)
        through = x.view_as(x)
        if not ctx.needs_input_grad[0]:
            ctx.mark_non_differentiable(through)
        return through, _dropped(x, keep, ctx.inverse) @ down.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore
        grad_x, grad_h = grads
        x, down, keep = ctx.saved_tensors
        grad_down = None
        if ctx.needs_input_grad[0] and grad_h is not None:
            if grad_x is None:
                grad_x = torch.zeros_like(x)
            # It is fresh from _LinearAndUp, which is the only one to see ``through``.
            _add_product(grad_x, grad_h, down, keep, ctx.inverse)
        if ctx.needs_input_grad[1] and grad_h is not None:
            grad_down = _thin(grad_h, _dropped(x, keep, ctx.inverse), down.ndim)
        return grad_x, grad_down, None, None


class _LinearAndUp(torch.autograd.Function):
    """x W^T + b + z B, with the frozen W; the output is 2-D."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        z: Tensor,
        up: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(weight, z, up)
        ctx.shape = x.shape
        return _up_and_linear(x, weight, bias, z, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore
        (grad,) = grads
        weight, z, up = ctx.saved_tensors
        grouped = grad.reshape(*z.shape[:-1], -1)
        grad_x = grad_z = grad_up = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).view(ctx.shape)
        if ctx.needs_input_grad[3]:
            grad_z = grouped @ up.mT
        if ctx.needs_input_grad[4]:
            grad_up = _thin(z, grouped, up.ndim)
        return grad_x, None, None, grad_z, grad_up


def _up_and_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, z: Tensor, up: Tensor
) -> Tensor:
    """Return x W^T + b + z B, 2-D.

    The thin product is written first: the large one then adds to it while it computes,
    which costs less than the other way round: there the output, long out of the cache,
    is read and written once more.
    """
    if up.ndim == 2:
        z = z.reshape(-1, z.shape[-1])
        y = z @ up if bias is None else torch.addmm(bias, z, up)
    else:
        # No view of a 3-D tensor: nobody could change that in place.
        y = z.new_empty(z.shape[0] * z.shape[1], up.shape[-1])
        out = y.view(*z.shape[:-1], -1)
        if bias is None:
            torch.bmm(z, up, out=out)
        else:
            torch.baddbmm(bias, z, up, out=out)
    # Not addmm_, which torch's counter of operations does not know.
    return torch.addmm(y, x.flatten(0, -2), weight.mT, out=y)


def _dropped(x: Tensor, keep: Tensor | None, inverse: float) -> Tensor:
    return x if keep is None else (x * keep).mul_(inverse)


def _thin(left: Tensor, right: Tensor, ndim: int) -> Tensor:
    """Return left^T right, (R, d); summed over samples where the factor is shared."""
    product = left.mT @ right
    return product.sum(0) if product.ndim > ndim else product


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
