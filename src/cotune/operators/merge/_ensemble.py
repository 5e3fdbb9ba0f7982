"""Run every adapter and average what they say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor

from ..._errors import ConfigError
from ..convert._recompress import working_dtype


def ensemble(
    logits: Iterable[Float[Tensor, "*batch classes"]],
    weights: Sequence[float] | None = None,
) -> Float[Tensor, "*batch classes"]:
    """Average the logits of several adapters.

    Not in the table ``MERGE``: those operators turn updates into one update, this one
    needs every adapter at inference and leaves no adapter behind.

    Args:
        logits: One tensor per adapter, all of one shape. A generator that switches the
            adapter on and runs the model holds one at a time.
        weights: One finite number per tensor; only their ratios count. None is the
            mean.

    Returns:
        sum_k w_k logits_k / sum_k w_k, in the dtype of the first tensor.

    Raises:
        ConfigError: No tensors, other shapes, or weights that do not fit.

    Example:
        >>> import torch
        >>> ensemble(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), [3.0, 1.0])
        tensor([0.7500, 0.7500])

    Source: arXiv:2402.09997 (LoraRetriever), the mixture of outputs.
    """
    total: Tensor | None = None
    dtype = None
    count, mass = 0, 0.0
    for count, each in enumerate(logits, start=1):
        weight = _weight_at(weights, count - 1)
        part = weight * each.to(working_dtype(each.dtype))
        if total is not None and total.shape != part.shape:
            raise ConfigError(
                f"ensemble: all logits must have one shape, got {tuple(total.shape)} "
                f"and {tuple(part.shape)}."
            )
        dtype = each.dtype if dtype is None else dtype
        total = part if total is None else total + part
        mass += weight
    if total is None or (weights is not None and len(weights) != count) or mass == 0:
        raise ConfigError(
            "ensemble: at least one tensor is needed and one weight per tensor, with a "
            f"sum other than 0, got {count} tensors and weights {weights!r}."
        )
    return (total / mass).to(dtype)


def _weight_at(weights: Sequence[float] | None, place: int) -> float:
    if weights is None:
        return 1.0
    # Too few weights are reported at the end, with the count of tensors.
    return weights[place] if place < len(weights) else 0.0
