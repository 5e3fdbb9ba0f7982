"""The update s B C S A x: one pass, fast where the base layer is a plain linear.

Knows no PEFT and no config; a :class:`Term` says all there is to know. Two ways lead to
the same numbers: the generic one here calls the base layer and adds the update, so it
works for every base layer; the fast one, in ``_fast.py``, stands in for the base layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from .._errors import ConfigError
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
        remake: Makes (down, up) again, so that backward need not keep them; None where
            they are the parameters themselves, or small.
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
    remake: Callable[[], tuple[Tensor, Tensor]] | None = None

    @property
    def plain(self) -> bool:
        """Whether nothing happens between A and B but the scale."""
        return self.core is None and self.gate is None and self.router is None

    @property
    def per_sample(self) -> bool:
        """Whether each sample has factors of its own."""
        return self.down.ndim == 4 or self.up.ndim == 4


def collaborate(
    x: Float[Tensor, "*batch d_in"],
    base_layer: nn.Module,
    terms: Sequence[Term],
    *args: Any,
    fast: str = "auto",
    **kwargs: Any,
) -> Float[Tensor, "*batch d_out"]:
    """Compute base(x) plus the updates of all terms.

    Args:
        x: Input; the samples are on the first axis, in groups of equal length.
        base_layer: The frozen layer.
        terms: Updates to add, at least one.
        *args: Passed to the base layer.
        fast: ``auto`` takes the fast way where it applies, ``off`` never; ``on``
            refuses layers where it does not. A compiler always gets the generic one.
        **kwargs: Passed to the base layer.

    Returns:
        The output, in the dtype of the base layer's output.

    Raises:
        ConfigError: ``fast`` is ``on`` and the base layer cannot be stood in for.
    """
    from ._fast import fast_collaborate

    plain = None if args or kwargs or fast == "off" else plain_weight(base_layer)
    if fast == "on" and plain is None:
        raise ConfigError(
            "fast: 'on' needs a frozen Linear or Conv1D without hooks, called with its "
            f"input alone, got {type(base_layer).__name__}. Use 'auto'."
        )
    if plain is None or torch.compiler.is_compiling():
        y = base_layer(x, *args, **kwargs)
        rest = terms
    else:
        y = fast_collaborate(x, *plain, terms[0])
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
    grouped = group_tokens(x, term)
    down, up = (stack_blocks(bank).to(x.dtype) for bank in (term.down, term.up))
    dropped = (
        F.dropout(grouped, term.dropout, training=True) if term.dropout else grouped
    )
    hidden = dropped @ down.mT
    out = mix_hidden(hidden, router_logits(grouped, term), term) @ up
    return out.reshape(*x.shape[:-1], up.shape[-1])


def plain_weight(base_layer: nn.Module) -> tuple[Tensor, Tensor | None] | None:
    """Return (weight (d_out, d_in), bias) if the fast way may stand in for the layer.

    It may not where someone could tell the difference: subclasses, quantised or sharded
    weights, hooks, replaced ``forward`` methods, trained base weights.
    """
    if type(base_layer) not in (nn.Linear, Conv1D):
        return None
    layer: Any = base_layer
    weight, bias = layer.weight, layer.bias
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


def group_tokens(x: Tensor, term: Term) -> Tensor:
    """View x as (batch, tokens, d_in) where samples differ, else as (tokens, d_in)."""
    if not term.per_sample:
        return x.reshape(-1, x.shape[-1])
    return x.reshape(term.batch, -1, x.shape[-1])


def stack_blocks(bank: Tensor) -> Tensor:
    """Stack the blocks of a bank: (K, R, d) -> (K R, d), per sample alike."""
    return bank.flatten(-3, -2)


def router_logits(
    grouped: Float[Tensor, "*tokens d_in"], term: Term
) -> Float[Tensor, "*tokens experts"] | None:
    """Return W_g x before the softmax, in fp32 at least; None without a router."""
    if term.router is None:
        return None
    dtype = torch.promote_types(grouped.dtype, torch.float32)
    with torch.autocast(grouped.device.type, enabled=False):
        return grouped.to(dtype) @ term.router.to(dtype).mT


def mix_hidden(hidden: Tensor, logits: Tensor | None, term: Term) -> Tensor:
    """Apply core, coupling and scale in the small space, R numbers per block."""
    R = term.down.shape[-2]
    wide = hidden.view(term.batch, -1, hidden.shape[-1])
    if term.core is not None:
        wide = _apply_core(wide.unflatten(-1, (-1, R)), term).flatten(-2)
    gate = _gate(logits, term, wide)
    if gate is not None:
        weigh = _weigh_by_products if hidden.device.type == "cpu" else _weigh_by_blocks
        wide = weigh(wide, gate, R, gate.shape[-1] > term.up.shape[-3])
    return wide.reshape(*hidden.shape[:-1], -1) * term.scale


def _apply_core(blocks: Tensor, term: Term) -> Tensor:
    assert term.core is not None and term.core_rows is not None
    rows = term.core_rows.to(blocks.dtype)
    if blocks.shape[-1] == term.rank:
        return term.core.apply(blocks, rows)
    # The frozen copies of the start belong to the core at the start, the identity.
    own, copies = blocks[..., : term.rank], blocks[..., term.rank :]
    return torch.cat([term.core.apply(own.contiguous(), rows), copies], dim=-1)


def _gate(logits: Tensor | None, term: Term, wide: Tensor) -> Tensor | None:
    """Return the weights of the blocks, (batch, tokens or 1, blocks), or None."""
    if term.gate is not None:
        return term.gate.unsqueeze(1).to(wide.dtype)
    if logits is None:
        return None
    shares = _softmax(logits).view(*wide.shape[:2], -1)
    if term.on_router is not None:
        term.on_router(shares)
    return shares.to(wide.dtype)


def _softmax(logits: Tensor) -> Tensor:
    """Return the softmax over the last axis, which holds a handful of numbers.

    A CPU is three to five times as fast with the tokens last.
    """
    if logits.device.type != "cpu":
        return torch.softmax(logits, dim=-1)
    return torch.softmax(logits.mT.contiguous(), dim=-2).mT


def _weigh_by_blocks(wide: Tensor, gate: Tensor, R: int, summed: bool) -> Tensor:
    """Multiply each block of R numbers by its weight, and sum them if asked."""
    blocks = wide.unflatten(-1, (-1, R)) * gate.unsqueeze(-1)
    return blocks.sum(-2) if summed else blocks.flatten(-2)


def _weigh_by_products(wide: Tensor, gate: Tensor, R: int, summed: bool) -> Tensor:
    """Do the same by products with matrices of zeros and ones.

    On a CPU forward and backward take half as long: what is broadcast over, or summed
    up to, R numbers is not vectorised.
    """
    count, like = gate.shape[-1], {"dtype": wide.dtype, "device": wide.device}
    spread = torch.eye(count, **like).repeat_interleave(R, dim=1)
    stack = torch.eye(R, **like).repeat(1, count)
    if wide.shape[-1] < stack.shape[-1]:
        wide = wide @ stack
    wide = wide * (gate @ spread)
    return wide @ stack.mT if summed else wide
