"""Drop entries at random and rescale, then merge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..._adapter import LowRank
from ..._errors import ConfigError
from ..prune._threshold import keep_largest
from ._inputs import check_inputs, check_share
from ._ties import average_agreeing


def dare(
    updates: Sequence[LowRank],
    weights: Sequence[float],
    *,
    density: float = 0.5,
    then: Literal["mix", "ties"] = "mix",
    trim: float = 1.0,
    scale: float = 1.0,
    generator: torch.Generator,
) -> Float[Tensor, "d_out d_in"]:
    """Drop entries of each update at random, divide the rest by the density, merge.

    With ``then="mix"`` the expectation over the draw is exactly ``mix``.

    Args:
        updates: One per adapter, of one shape; ranks may differ.
        weights: One per update; read as by ``then``: as they are for ``mix``, by their
            ratios for ``ties``.
        density: Probability that an entry stays, in (0, 1]; the paper's 1 - p. It goes
            down to 0.1 there; a low-rank result keeps more of the truth at 0.5.
        then: How the thinned updates are merged.
        trim: With ``then="ties"``: share of the thinned entries that survives its trim,
            in [0, 1]; 1 leaves them, as PEFT's ``dare_ties`` does.
        scale: Factor on the merged update.
        generator: Draws the masks, on its own device: equal seeds give equal masks
            wherever the updates lie.

    Returns:
        A dense update of shape (d_out, d_in).

    Raises:
        ConfigError: The inputs do not fit together, or an option is outside its range.

    Source: arXiv:2311.03099, equations 1 to 3.
    """
    check_share("dare", "density", density, zero=False)
    check_share("dare", "trim", trim)
    if then not in ("mix", "ties"):
        raise ConfigError(f"dare: then must be 'mix' or 'ties', got {then!r}.")
    inputs = check_inputs("dare", updates, weights)
    if then == "ties":
        inputs = inputs.positive()
        thinned = [_thin(update, density, generator) for update in inputs.updates]
        trimmed = [keep_largest(delta, trim) for delta in thinned]
        merged = average_agreeing(trimmed, inputs.weights)
    else:
        merged = torch.zeros_like(inputs.updates[0].delta())
        for update, weight in zip(inputs.updates, inputs.weights, strict=True):
            merged += weight * _thin(update, density, generator)
    return (scale * merged).to(inputs.dtype)


def _thin(update: LowRank, density: float, generator: torch.Generator) -> Tensor:
    delta = update.delta()
    draw = torch.rand(delta.shape, generator=generator, device=generator.device)
    return delta.where(draw.to(delta.device) < density, 0) / density
